import { createHmac, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Problem } from '../problem/problem.js';
import { QueryRouter } from '../../database/query-router.js';
import { READ_KEY } from './cursor.sql.js';

const SIGNATURE_BYTES = 16;

/**
 * Makes and reads the opaque `next_cursor`: the sort key of the last row shown, signed together with the question.
 *
 * The signature binds a cursor to its filters without repeating them. It is keyed, because a plain digest of a phone
 * number could be reversed by trying all numbers; the key lies in the database, so that every replica reads the cursors
 * of the others, and after a restart too.
 */
@Injectable()
export class Cursors {
  #key: Buffer | undefined;

  constructor(private readonly reads: QueryRouter) {}

  /** @param question the endpoint with its filters, but for `limit`, which may change from page to page */
  async write(question: readonly unknown[], position: readonly (string | number)[]): Promise<string> {
    const payload = Buffer.from(JSON.stringify(position));
    return Buffer.concat([await this.sign(question, payload), payload]).toString('base64url');
  }

  /**
   * @returns the position behind which to go on; undefined without a cursor, on the first page
   * @throws Problem `invalid_cursor` if it was altered, or made for another question
   */
  async read(question: readonly unknown[], cursor: string | undefined): Promise<(string | number)[] | undefined> {
    if (cursor === undefined) return undefined;
    const bytes = Buffer.from(cursor, 'base64url');
    const signature = bytes.subarray(0, SIGNATURE_BYTES);
    const payload = bytes.subarray(SIGNATURE_BYTES);
    const expected = await this.sign(question, payload);
    if (signature.length < SIGNATURE_BYTES || !timingSafeEqual(signature, expected)) {
      throw new Problem('invalid_cursor', 'The cursor was altered, or made for other filters.');
    }
    return JSON.parse(payload.toString()) as (string | number)[];
  }

  private async sign(question: readonly unknown[], payload: Buffer): Promise<Buffer> {
    this.#key ??= await this.readKey();
    const hmac = createHmac('sha256', this.#key).update(JSON.stringify(question)).update('\0').update(payload);
    return hmac.digest().subarray(0, SIGNATURE_BYTES);
  }
  private async readKey(): Promise<Buffer> {
    const [row] = await this.reads.query<{ secret: Buffer }>(READ_KEY, []);
    if (!row) throw new Error('the database has no key for cursors');
    return row.secret;
  }
}
