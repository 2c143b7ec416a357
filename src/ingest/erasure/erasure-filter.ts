import { createHmac } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Connection } from '../../database/connection.js';
import type { Notification } from '../notification/notification.js';
import { extractCaseIds, extractNumbers, type Subject } from './body-search.js';
import { READ_ERASURE_KEY, READ_ERASURES } from './erasure-filter.sql.js';

/**
 * The erasures that have been decided, so that no delivery received before its person was erased is written afterwards, from
 * whatever spool or quarantine it comes.
 *
 * **Nobody asks before he writes.** Every statement that writes deliveries says how many erasures its process knows, and
 * fails where there are more (`isErasureUnknown`); the process learns those and tries again. As long as nobody is erased
 * that costs one look at an index for each batch, and as deliveries come after the last erasure, nothing for each of them.
 *
 * Kept are keyed digests: neither numbers nor ids are stored to know that they are gone.
 */
@Injectable()
export class ErasureFilter {
  readonly #erasedAt = new Map<string, number>();
  #key: Buffer | undefined;
  #known = 0;
  #newest = Number.NEGATIVE_INFINITY;

  constructor(private readonly dataSource: DataSource) {}

  /** How many there are, as far as this process knows. */
  get lastErasureNumber(): number {
    return this.#known;
  }

  /** Reads those that have been decided since. */
  async refresh(): Promise<void> {
    await Connection.use(this.dataSource, async (connection) => this.refreshWithin(connection));
  }

  /** Likewise, within a transaction that has locked out whoever erases. */
  async refreshWithin(connection: Connection): Promise<void> {
    type Row = { number: string; erased_at: Date; subject_digest: Buffer };
    const rows = await connection.query<Row>(READ_ERASURES, [this.#known]);
    if (rows.length > 0) this.#key ??= await readKey(connection);
    for (const { number, erased_at, subject_digest } of rows) {
      const digest = subject_digest.toString('base64');
      const erasedAt = Math.max(erased_at.getTime(), this.#erasedAt.get(digest) ?? Number.NEGATIVE_INFINITY);
      this.#erasedAt.set(digest, erasedAt);
      this.#newest = Math.max(this.#newest, erasedAt);
      this.#known = Math.max(this.#known, Number(number));
    }
  }

  /** Whether the person of a valid delivery was erased after it had been received. */
  matches({ receivedAt, completion }: Pick<Notification, 'receivedAt' | 'completion'>): boolean {
    if (receivedAt.getTime() > this.#newest) return false;
    return (
      this.isErased(completion, receivedAt) || this.isErased({ callee_number: completion.callee_number }, receivedAt)
    );
  }

  /** Whether bytes that are no valid delivery mention somebody who was erased after they had been received. */
  matchesBody(receivedAt: Date, body: Buffer): boolean {
    if (receivedAt.getTime() > this.#newest) return false;
    for (const named of extractCaseIds(body)) if (this.isErased(named, receivedAt)) return true;
    for (const text of extractNumbers(body)) if (this.isErased({ callee_number: text }, receivedAt)) return true;
    return false;
  }

  /** The keyed digest under which an erasure is kept. */
  async digest(subject: Subject): Promise<Buffer> {
    this.#key ??= await Connection.use(this.dataSource, async (connection) => readKey(connection));
    return digestSubject(this.#key, subject);
  }

  private isErased(subject: Subject, receivedAt: Date): boolean {
    const erasedAt = this.#key && this.#erasedAt.get(digestSubject(this.#key, subject).toString('base64'));
    return erasedAt !== undefined && receivedAt.getTime() <= erasedAt;
  }
}

async function readKey(connection: Connection): Promise<Buffer> {
  const [row] = await connection.query<{ secret: Buffer }>(READ_ERASURE_KEY, []);
  if (!row) throw new Error('the database has no key for erasures');
  return row.secret;
}

function digestSubject(key: Buffer, subject: Subject): Buffer {
  const parts = 'case_id' in subject ? [subject.workflow_id, subject.case_id] : [subject.callee_number];
  return createHmac('sha256', key).update(JSON.stringify(parts)).digest();
}
