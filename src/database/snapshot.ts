import type { Client, QueryResultRow } from 'pg';
import type { DataSource, QueryRunner, ReplicationMode } from 'typeorm';

/** A connection on which all statements see one moment, and write nothing. Whoever takes it releases it. */
export class Snapshot {
  #isReleased = false;

  private constructor(
    private readonly client: Client,
    private readonly runner: QueryRunner,
  ) {}

  /**
   * @param mode `slave` reads from a replica, where the data source has any
   * @param settings of PostgreSQL, for as long as it is held
   */
  static async take(
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

  /** Gives up the statement under way, and the connection with it; after its release, nothing. */
  abandon(): void {
    if (!this.#isReleased) void this.client.end();
  }

  async release(): Promise<void> {
    this.#isReleased = true;
    await this.query('ROLLBACK').catch(() => undefined); // the connection may be gone, and its transaction with it
    await this.runner.release();
  }
}
