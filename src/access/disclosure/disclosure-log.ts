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

/** An answer waits no longer for its record. */
const LIMIT_MS = 5_000;
/** What one request is shown within so long is one record: an export or a stream would else make one for each piece. */
const SPAN_MS = 60_000;

/** Who is shown something, where. */
type DisclosureContext = Pick<RevealEntity, 'key_name' | 'endpoint' | 'request_id'>;

interface Entry {
  readonly reveal: RevealEntity;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The record of who was shown whole numbers and raw bodies.
 *
 * **Group commit.** What is to be recorded while a statement is under way travels together in the next one: however many
 * read, this takes one connection, of the door's pool, where no number of slow reads can hold it up.
 *
 * **What a caller may rely on.** When a sight's `record` returns, PostgreSQL has the record; where it throws, it may or may
 * not. So there can be a record of what was not sent in the end, but nothing is sent without one.
 */
@Injectable()
export class DisclosureLog {
  readonly #logger = new Logger('Reveals');
  readonly #queue = new GroupCommit<Entry>(async (entries) => this.write(entries));
  #isFailing = false;

  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** A sight that sees all, on record. */
  createDisclosure(viewer: DisclosureContext): Disclosure {
    let record: Pick<RevealEntity, 'id' | 'at'> | undefined;
    return new Disclosure(async (shown) => {
      const now = Date.now();
      if (!record || now - record.at.getTime() >= SPAN_MS) record = { id: newId(now), at: new Date(now) };
      await this.add({ ...record, ...viewer, ...shown });
    });
  }

  private async add(reveal: RevealEntity): Promise<void> {
    try {
      const written = new Promise<void>((resolve, reject) => this.#queue.add({ reveal, resolve, reject }));
      await withTimeout(LIMIT_MS, written);
    } catch (error) {
      if (!this.#isFailing) this.#logger.error('what is shown cannot be recorded', { error: describeError(error) });
      this.#isFailing = true;
      throw new Problem(
        'service_unavailable',
        'Whole numbers and bodies are shown only on record, and none can be kept.',
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
    if (this.#isFailing) this.#logger.log('what is shown can be recorded again');
    this.#isFailing = false;
  }
}

/** In the order of the statement's parameters. */
function toColumns(reveals: readonly RevealEntity[]): unknown[] {
  return (['id', 'at', 'key_name', 'endpoint', 'request_id', 'numbers', 'bodies'] as const).map((name) =>
    reveals.map((reveal) => reveal[name]),
  );
}
