import type { Client, QueryResultRow } from 'pg';
import type { DataSource, QueryRunner, ReplicationMode } from 'typeorm';

/** A read-only transaction whose statements share one snapshot. The caller of `open` releases it. */
export class Snapshot {
  #isReleased = false;

  private constructor(
    private readonly client: Client,
    private readonly runner: QueryRunner,
  ) {}

  /**
   * @param mode `slave` reads from a replica, if the data source has any
   * @param settings of PostgreSQL, for this transaction
   */
  static async open(
    dataSource: DataSource,
    mode: ReplicationMode,
    settings: Readonly<Record<string, string>>,
  ): Promise<Snapshot> {
    const runner = dataSource.createQueryRunner(mode);
    try {
      const snapshot = new Snapshot((await runner.connect()) as Client, runner);
      const local = Object.entries(settings).map(([name, value]) => `SET LOCAL ${name} = '${value}'`);
      await snapshot.query(['BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', ...local].join('; '));
      return snapshot;
    } catch (error) {
      await runner.release();
      throw error;
    }
  }

  async query<Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]> {
    const { rows } = await this.client.query<Row>(text, values && [...values]);
    return rows;
  }

  /** Closes the connection, which ends a running statement. No effect after `release`. */
  abandon(): void {
    if (!this.#isReleased) void this.client.end();
  }

  async release(): Promise<void> {
    this.#isReleased = true;
    await this.query('ROLLBACK').catch(() => undefined); // the connection may be gone, and its transaction with it
    await this.runner.release();
  }
}
