import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { describeError, isDatabaseUnavailable, isMisconfiguration } from './errors.js';
import { migrate } from './migrate.js';

/** A start waits that long for another replica's migration, or for a database that does not answer. */
const PATIENCE_MS = 3_000;
const RETRY_INTERVAL_MS = 1_000;

/**
 * Brings the database up to date and connects the data sources to it; again and again while PostgreSQL is away. The service
 * does not wait for that: it accepts notifications all the same.
 */
export class DatabaseStartup {
  readonly #logger = new Logger('Database');

  /** Rejects with what can only be put right by a person, such as a failed migration. */
  readonly done: Promise<void>;
  readonly #triedOnce: Promise<void>;
  #tellTried: () => void;

  /**
   * @param onConnected reads what the service keeps of the database; runs again if it fails
   * @param signal gives up
   */
  constructor(
    private readonly databaseUrl: string,
    private readonly dataSources: readonly DataSource[],
    private readonly onConnected: () => Promise<void>,
    private readonly signal: AbortSignal,
  ) {
    this.#triedOnce = new Promise((resolve) => (this.#tellTried = resolve));
    this.done = this.run();
    this.done.catch(() => undefined); // whoever started it looks later
  }

  /**
   * Returns when the database is ready, or it is clear that this will take a while.
   *
   * @throws what `done` rejects with, and what says that DATABASE_URL is wrong
   */
  async waitForFirstAttempt(): Promise<void> {
    await Promise.race([this.done, this.#triedOnce, sleep(PATIENCE_MS, undefined, { ref: false })]);
  }

  private async run(): Promise<void> {
    const isGivenUp = (): boolean => this.signal.aborted;
    for (let attempt = 1; !isGivenUp(); attempt += 1) {
      try {
        return await this.connect();
      } catch (error) {
        if (isGivenUp()) return;
        if (!isDatabaseUnavailable(error) || (attempt === 1 && isMisconfiguration(error))) throw error;
        if (attempt === 1)
          this.#logger.error('PostgreSQL is away: trying every second', { error: describeError(error) });
        this.#tellTried();
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
