import type { Client, QueryResultRow } from 'pg';
import type { DataSource, QueryRunner, ReplicationMode } from 'typeorm';

/** A statement of constant text. By its name PostgreSQL keeps it parsed and planned for each connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/**
 * A connection of the data source's pool, for as long as a piece of work takes. TypeORM's own `query` knows no prepared
 * statements, and planning the batch anew takes longer than running it for a lone notification.
 */
export class Connection {
  private constructor(
    private readonly client: Client,
    private readonly runner: QueryRunner,
  ) {}

  /** @param mode `slave` reads from a replica, where the data source has any */
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

  /** @param values parameters; a Buffer goes in PostgreSQL's binary form */
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
      await this.runner.rollbackTransaction().catch(() => undefined); // the connection may be gone, and its transaction with it
      throw error;
    }
  }
}
