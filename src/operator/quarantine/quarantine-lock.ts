import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { QueryResultRow } from 'pg';
import { DataSource } from 'typeorm';
import { Connection } from '../../database/connection.js';
import { QUERY } from '../../database/data-source.js';
import type { QuarantineAction } from '../../database/entities.js';
import { newId } from '../../database/ids.js';
import type { Outcome } from '../../ingest/write/batch.js';
import type { DiscardResponse } from './quarantine-commands.dto.js';
import type { QuarantineFilter } from './quarantine.dto.js';
import { ACQUIRE_COMMAND_LOCK, ALLOW_IDLE, findStatement, type QuarantinePosition, REMOVE } from './quarantine.sql.js';

/** A command of an operator: the action, the key name, and the reason of a discard. */
interface OperatorAction {
  readonly action: QuarantineAction;
  readonly by: string;
  readonly because?: string;
}

/** A body to remove; after a replay with its verdict. */
interface RemovalEntry {
  readonly id: string;
  readonly verdict?: Outcome | null;
}

/** Serialises replay and discard with an advisory lock, so that no two commands handle the same body. */
@Injectable()
export class QuarantineLock {
  constructor(@InjectDataSource(QUERY) private readonly dataSource: DataSource) {}

  /** Whether more bodies match after a position. */
  async hasMore(filter: QuarantineFilter, after: QuarantinePosition): Promise<boolean> {
    const { text, parameters } = findStatement(filter, after, 1);
    const rows = await Connection.use(this.dataSource, async (connection) =>
      connection.query({ name: '', text }, parameters),
    );
    return rows.length > 0;
  }

  /** Runs a transaction while it holds the advisory lock. Ingest waits only from its first removal on. */
  async runExclusive<T>(work: (transaction: QuarantineTransaction) => Promise<T>): Promise<T> {
    return Connection.use(this.dataSource, async (connection) => {
      const query: QuarantineTransaction['query'] = async (text, values) =>
        connection.query({ name: '', text }, values);
      return connection.transaction(async () => {
        await query(ALLOW_IDLE, []);
        await query(ACQUIRE_COMMAND_LOCK, []);
        return work(new QuarantineTransaction(query));
      });
    });
  }
}

/** A transaction that holds the advisory lock. */
export class QuarantineTransaction {
  constructor(
    readonly query: <Row extends QueryResultRow>(text: string, values: readonly unknown[]) => Promise<Row[]>,
  ) {}

  /** Removes bodies from the quarantine and records each removal. @returns the bodies that were still there */
  async remove(entries: readonly RemovalEntry[], { action, by, because }: OperatorAction): Promise<DiscardResponse[]> {
    const ids = entries.map(({ id }) => id);
    const records = entries.map(() => newId());
    const verdicts = entries.map(({ verdict }) => verdict ?? null);
    return this.query<DiscardResponse>(REMOVE, [ids, records, verdicts, by, action, because ?? null]);
  }
}
