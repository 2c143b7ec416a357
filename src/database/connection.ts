import type { Client, QueryResultRow } from 'pg';
import type { DataSource, QueryRunner, ReplicationMode } from 'typeorm';

/** A prepared statement. PostgreSQL caches its parse tree and plan per connection, by name. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/**
 * A pooled connection for the duration of some work. TypeORM's `query` has no prepared statements, and planning the
 * batch takes longer than running it for a single notification.
 */
export class Connection {
  private constructor(
    private readonly client: Client,
    private readonly runner: QueryRunner,
  ) {}

  /** @param mode `slave` reads from a replica, if the data source has one */
  static async use<T>(
    dataSource: DataSource,
    work: (connection: Connection) => Promise<T>,
    mode: ReplicationMode = 'master',
  ): Promise<T> {
    const runner = dataSource.createQueryRunner(mode);
    try {
      return await work(new Connection((await runner.connect()) as Client, runner));
    } finally {
      await runner.release();
    }
  }

  /** @param values parameters; a Buffer is sent in PostgreSQL's binary format */
  async query<Row extends QueryResultRow>(statement: Statement, values: readonly unknown[]): Promise<Row[]> {
    const { rows } = await this.client.query<Row>({ ...statement, values: [...values] });
    return rows;
  }

  async transaction<T>(work: () => Promise<T>): Promise<T> {
    await this.runner.startTransaction();
    try {
      const outcome = await work();
      await this.runner.commitTransaction();
      return outcome;
    } catch (error) {
      await this.runner.rollbackTransaction().catch(() => undefined); // fails on a lost connection
      throw error;
    }
  }
}
