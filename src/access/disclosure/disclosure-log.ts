import { Injectable, Logger } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Connection } from '../../database/connection.js';
import type { RevealEntity } from '../../database/entities.js';
import { describeError } from '../../database/errors.js';
import { GroupCommit } from '../../database/group-commit.js';
import { newId } from '../../database/ids.js';
import { withTimeout } from '../../database/timeout.js';
import { Problem } from '../../http/problem/problem.js';
import { Disclosure } from './disclosure.js';
import { RECORD } from './disclosure-log.sql.js';

/** The maximum time that a response waits for its record. */
const LIMIT_MS = 5_000;
/** One record covers the disclosures of a request within this time, so an export or a stream does not write one per chunk. */
const SPAN_MS = 60_000;

/** The reader of a disclosure: API key, endpoint and request. */
type DisclosureContext = Pick<RevealEntity, 'key_name' | 'endpoint' | 'request_id'>;

interface Entry {
  readonly reveal: RevealEntity;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Records each disclosure of unmasked numbers and raw bodies before the response leaves.
 *
 * - *Working*: `Disclosure.record` returns once PostgreSQL has the record. Concurrent records share one statement and one
 *   connection of the ingest pool, because slow reads cannot block that pool.
 * - *Failing*, from a failed or late write until the next successful one: `record` throws a Problem, and the response is
 *   `503`. The log has one line at each change of the mode.
 *
 * A caller may rely on one direction only: a response has a record. A record may exist without a response.
 */
@Injectable()
export class DisclosureLog {
  readonly #logger = new Logger('Reveals');
  readonly #queue = new GroupCommit<Entry>(async (entries) => this.write(entries));
  #isFailing = false;

  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** @returns a disclosure that unmasks everything and records it */
  createDisclosure(context: DisclosureContext): Disclosure {
    let record: Pick<RevealEntity, 'id' | 'at'> | undefined;
    return new Disclosure(async (count) => {
      const now = Date.now();
      if (!record || now - record.at.getTime() >= SPAN_MS) record = { id: newId(now), at: new Date(now) };
      await this.add({ ...record, ...context, ...count });
    });
  }

  private async add(reveal: RevealEntity): Promise<void> {
    try {
      const written = new Promise<void>((resolve, reject) => this.#queue.add({ reveal, resolve, reject }));
      await withTimeout(LIMIT_MS, written);
    } catch (error) {
      if (!this.#isFailing) this.#logger.error('disclosure log write failed', { error: describeError(error) });
      this.#isFailing = true;
      throw new Problem(
        'service_unavailable',
        'Unmasked data cannot be returned because the disclosure log is unavailable.',
      );
    }
  }

  /** Never throws. */
  private async write(entries: readonly Entry[]): Promise<void> {
    try {
      const columns = toColumns(entries.map(({ reveal }) => reveal));
      await Connection.use(this.dataSource, async (connection) =>
        connection.query({ name: 'record_reveals', text: RECORD }, columns),
      );
    } catch (error) {
      for (const { reject } of entries) reject(error);
      return;
    }
    for (const { resolve } of entries) resolve();
    if (this.#isFailing) this.#logger.log('disclosure log recovered');
    this.#isFailing = false;
  }
}

/** The parameters of the statement, in its order. */
function toColumns(reveals: readonly RevealEntity[]): unknown[] {
  return (['id', 'at', 'key_name', 'endpoint', 'request_id', 'numbers', 'bodies'] as const).map((name) =>
    reveals.map((reveal) => reveal[name]),
  );
}
