import { createHmac } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Connection } from '../../database/connection.js';
import type { Notification } from '../notification/notification.js';
import { extractCaseIds, extractNumbers, type Subject } from './body-search.js';
import { READ_ERASURE_KEY, READ_ERASURES } from './erasure-filter.sql.js';

/**
 * The erasures of all persons. It keeps deliveries that were received before an erasure from being written after it, from any
 * spool or quarantine.
 *
 * Optimistic check: each statement that writes deliveries passes the number of the last erasure that this process has loaded.
 * PostgreSQL fails it if a newer one exists (`isErasureUnknown`), and the process reloads and retries. Without a new erasure
 * this costs one index lookup per batch. Deliveries after the last erasure cost nothing.
 *
 * Erasures are stored as keyed digests, without numbers and ids.
 */
@Injectable()
export class ErasureFilter {
  readonly #erasedAt = new Map<string, number>();
  #key: Buffer | undefined;
  #lastNumber = 0;
  #newestErasedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly dataSource: DataSource) {}

  /** The number of the last erasure that this process has loaded. */
  get lastErasureNumber(): number {
    return this.#lastNumber;
  }

  /** Loads the erasures after the last loaded one. */
  async refresh(): Promise<void> {
    await Connection.use(this.dataSource, async (connection) => this.refreshWithin(connection));
  }

  /** The same, within a transaction whose lock blocks erasures. */
  async refreshWithin(connection: Connection): Promise<void> {
    type Row = { number: string; erased_at: Date; subject_digest: Buffer };
    const rows = await connection.query<Row>(READ_ERASURES, [this.#lastNumber]);
    if (rows.length > 0) this.#key ??= await readKey(connection);
    for (const { number, erased_at, subject_digest } of rows) {
      const digest = subject_digest.toString('base64');
      const erasedAt = Math.max(erased_at.getTime(), this.#erasedAt.get(digest) ?? Number.NEGATIVE_INFINITY);
      this.#erasedAt.set(digest, erasedAt);
      this.#newestErasedAt = Math.max(this.#newestErasedAt, erasedAt);
      this.#lastNumber = Math.max(this.#lastNumber, Number(number));
    }
  }

  /** True if the person of a valid delivery was erased after its receipt. */
  matches({ receivedAt, completion }: Pick<Notification, 'receivedAt' | 'completion'>): boolean {
    if (receivedAt.getTime() > this.#newestErasedAt) return false;
    return (
      this.isErased(completion, receivedAt) || this.isErased({ callee_number: completion.callee_number }, receivedAt)
    );
  }

  /** True if a rejected body mentions a person who was erased after its receipt. */
  matchesBody(receivedAt: Date, body: Buffer): boolean {
    if (receivedAt.getTime() > this.#newestErasedAt) return false;
    for (const subject of extractCaseIds(body)) if (this.isErased(subject, receivedAt)) return true;
    for (const text of extractNumbers(body)) if (this.isErased({ callee_number: text }, receivedAt)) return true;
    return false;
  }

  /** The keyed digest that identifies a subject in the table of erasures. */
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
  if (!row) throw new Error('table instance_secrets has no key for erasures');
  return row.secret;
}

function digestSubject(key: Buffer, subject: Subject): Buffer {
  const parts = 'case_id' in subject ? [subject.workflow_id, subject.case_id] : [subject.callee_number];
  return createHmac('sha256', key).update(JSON.stringify(parts)).digest();
}
