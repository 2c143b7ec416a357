import { createHmac, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { CannotExecuteNotConnectedError } from 'typeorm';
import { QueryRouter } from '../../database/query-router.js';
import { Problem } from '../problem/problem.js';
import { READ_KEY } from './cursor.sql.js';

const SIGNATURE_BYTES = 16;

/** The sort key of the last row on a page: the next page begins after it. */
export type CursorPosition = readonly (string | number)[];

/**
 * Encodes and decodes the opaque `next_cursor`: a position, signed together with its scope.
 *
 * The scope is the endpoint with its filters, without `limit`, which may change from page to page. The signature binds
 * a cursor to its scope without repeating the filters. It is keyed because a plain digest of a phone number could be
 * reversed by a search through all numbers. The key is in the database, so a cursor is valid on every replica and after
 * a restart.
 */
@Injectable()
export class Cursors {
  #key: Buffer | undefined;

  constructor(private readonly queries: QueryRouter) {}

  /** Loads the key. Until then `write`, and `read` of a cursor, throw as any query does without a connection. */
  async loadKey(): Promise<void> {
    const [row] = await this.queries.queryPrimary<{ secret: Buffer }>(READ_KEY, []);
    if (!row) throw new Error('the database has no key for cursors');
    this.#key = row.secret;
  }

  write(scope: readonly unknown[], position: CursorPosition): string {
    const payload = Buffer.from(JSON.stringify(position));
    return Buffer.concat([this.sign(scope, payload), payload]).toString('base64url');
  }

  /**
   * @returns the position after which the page begins; undefined without a cursor, on the first page
   * @throws Problem `invalid_cursor` if the cursor was altered, or belongs to another scope
   */
  read(scope: readonly unknown[], cursor: string | undefined): CursorPosition | undefined {
    if (cursor === undefined) return undefined;
    const bytes = Buffer.from(cursor, 'base64url');
    const signature = bytes.subarray(0, SIGNATURE_BYTES);
    const payload = bytes.subarray(SIGNATURE_BYTES);
    const expected = this.sign(scope, payload);
    if (signature.length < SIGNATURE_BYTES || !timingSafeEqual(signature, expected)) {
      throw new Problem('invalid_cursor', 'The cursor was altered, or belongs to other filters.');
    }
    return JSON.parse(payload.toString()) as CursorPosition;
  }

  private sign(scope: readonly unknown[], payload: Buffer): Buffer {
    if (!this.#key) throw new CannotExecuteNotConnectedError();
    const hmac = createHmac('sha256', this.#key).update(JSON.stringify(scope)).update('\0').update(payload);
    return hmac.digest().subarray(0, SIGNATURE_BYTES);
  }
}
