import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { describeError, isDatabaseUnavailable, isMisconfiguration } from './errors.js';
import { migrate } from './migrate.js';

/** Time that a start waits for the migration of another replica, or for a database that does not answer. */
const FIRST_ATTEMPT_TIMEOUT_MS = 3_000;
const RETRY_INTERVAL_MS = 1_000;

/**
 * Migrates the database and connects the data sources, with retries while PostgreSQL is unavailable. Meanwhile the
 * service accepts notifications into the spool.
 */
export class DatabaseStartup {
  readonly #logger = new Logger('Database');

  /** Rejects with an error that needs an operator, such as a failed migration. */
  readonly done: Promise<void>;
  readonly #firstAttempt: Promise<void>;
  #endFirstAttempt: () => void;

  /**
   * @param onConnected reads the data that the service keeps in memory; a failure repeats it
   * @param signal ends the retries
   */
  constructor(
    private readonly databaseUrl: string,
    private readonly dataSources: readonly DataSource[],
    private readonly onConnected: () => Promise<void>,
    private readonly signal: AbortSignal,
  ) {
    this.#firstAttempt = new Promise((resolve) => (this.#endFirstAttempt = resolve));
    this.done = this.run();
    this.done.catch(() => undefined); // the caller handles it later
  }

  /**
   * Returns when the database is ready, the first attempt has failed, or the timeout is over.
   *
   * @throws the error of `done`, also if the first attempt shows that DATABASE_URL is wrong
   */
  async waitForFirstAttempt(): Promise<void> {
    await Promise.race([this.done, this.#firstAttempt, sleep(FIRST_ATTEMPT_TIMEOUT_MS, undefined, { ref: false })]);
  }

  private async run(): Promise<void> {
    const isAborted = (): boolean => this.signal.aborted;
    for (let attempt = 1; !isAborted(); attempt += 1) {
      try {
        return await this.connect();
      } catch (error) {
        if (isAborted()) return;
        if (!isDatabaseUnavailable(error) || (attempt === 1 && isMisconfiguration(error))) throw error;
        if (attempt === 1)
          this.#logger.error('PostgreSQL unavailable, retrying every second', { error: describeError(error) });
        this.#endFirstAttempt();
        await sleep(RETRY_INTERVAL_MS, undefined, { signal: this.signal }).catch(() => undefined);
      }
    }
  }

  private async connect(): Promise<void> {
    const migrations = await migrate(this.databaseUrl, this.signal);
    for (const dataSource of this.dataSources) if (!dataSource.isInitialized) await dataSource.initialize();
    await this.onConnected();
    this.#logger.log('connected', { migrations: migrations.map(({ name }) => name) });
  }
}
