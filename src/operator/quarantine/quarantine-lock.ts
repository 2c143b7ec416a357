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

/** What is done to refused bodies: by whom, and for a discard why. */
interface OperatorAction {
  readonly action: QuarantineAction;
  readonly by: string;
  readonly because?: string;
}

/** A refused body that is to be taken out; after a replay, with what that came to. */
interface RemovalEntry {
  readonly id: string;
  readonly verdict?: Outcome | null;
}

/** What operators do, one at a time on a database: so that nobody discards what another is replaying, or replays it as well. */
@Injectable()
export class QuarantineLock {
  constructor(@InjectDataSource(QUERY) private readonly dataSource: DataSource) {}

  /** Whether there are more that match behind a place. */
  async has(filter: QuarantineFilter, behind: QuarantinePosition): Promise<boolean> {
    const { text, parameters } = findStatement(filter, behind, 1);
    const rows = await Connection.use(this.dataSource, async (connection) =>
      connection.query({ name: '', text }, parameters),
    );
    return rows.length > 0;
  }

  /** A transaction that no other of these runs beside. The door does not wait for it until it removes something. */
  async runExclusive<T>(work: (act: QuarantineTransaction) => Promise<T>): Promise<T> {
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

/** An operator's transaction. */
export class QuarantineTransaction {
  constructor(
    readonly query: <Row extends QueryResultRow>(text: string, values: readonly unknown[]) => Promise<Row[]>,
  ) {}

  /** Takes refused bodies out of the quarantine, and records it of each. @returns those that were still there */
  async remove(leaving: readonly RemovalEntry[], { action, by, because }: OperatorAction): Promise<DiscardResponse[]> {
    const ids = leaving.map(({ id }) => id);
    const records = leaving.map(() => newId());
    const verdicts = leaving.map(({ verdict }) => verdict ?? null);
    return this.query<DiscardResponse>(REMOVE, [ids, records, verdicts, by, action, because ?? null]);
  }
}
