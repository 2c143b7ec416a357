import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Pool } from 'pg';
import { vi } from 'vitest';
import { migrate } from '../../src/database/migrate.js';
import type { TestDatabase } from './database.js';
import { DurablePostgres } from './durable-postgres.js';

const POLL = { timeout: 20_000, interval: 20 };

/** A PostgreSQL with two hot standbys that follow it by streaming. */
export class ReplicatedPostgres {
  private constructor(
    private readonly directory: string,
    readonly primary: DurablePostgres,
    readonly standbys: readonly [Standby, Standby],
  ) {}

  static async make(): Promise<ReplicatedPostgres> {
    const directory = await mkdtemp(path.join(tmpdir(), 'airudder-replicated-'));
    const primary = await DurablePostgres.make(directory);
    const standbys = [await Standby.make(primary, 'one'), await Standby.make(primary, 'two')] as const;
    return new ReplicatedPostgres(directory, primary, [...standbys]);
  }

  /** A database that is on the standbys too; empty or up to date. */
  async createDatabase({ empty = false } = {}): Promise<TestDatabase> {
    const url = await this.primary.createDatabase();
    if (!empty) await migrate(url);
    await this.caughtUp();
    const pool = new Pool({ connectionString: url, max: 1, idleTimeoutMillis: 0 });
    pool.on('error', () => undefined); // a test may end the server under it
    return {
      url,
      query: async <R extends object>(text: string, parameters?: unknown[]) =>
        (await pool.query<R>(text, parameters)).rows,
      drop: async () => pool.end(),
    };
  }

  /** Waits until the standbys have replayed what is committed now. */
  async caughtUp(...standbys: readonly Standby[]): Promise<void> {
    const [at] = await this.primary.query<{ lsn: string }>('postgres', 'SELECT pg_current_wal_lsn() AS lsn');
    for (const standby of standbys.length > 0 ? standbys : this.standbys) await standby.replayed(at?.lsn ?? '');
  }

  async remove(): Promise<void> {
    for (const { postgres } of this.standbys) await postgres.remove();
    await this.primary.remove();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** One that may lag for as long as a test wants. */
export class Standby {
  private constructor(readonly postgres: DurablePostgres) {}

  static async make(primary: DurablePostgres, name: string): Promise<Standby> {
    // What is in the way of the replay is cancelled at once, instead of after half a minute.
    const settings = { max_standby_streaming_delay: '0', wal_retrieve_retry_interval: '100ms' };
    return new Standby(await primary.makeStandby(name, settings));
  }

  /** Where the database of the primary with this URL is read on this standby. */
  urlOf(primary: string): string {
    return this.postgres.url(new URL(primary).pathname.slice(1));
  }

  /** From here on nothing new is seen on it. */
  async pauseReplay(): Promise<void> {
    await this.ask('pg_wal_replay_pause()');
    await this.untilTrue(`pg_get_wal_replay_pause_state() = 'paused'`);
  }

  async resumeReplay(): Promise<void> {
    await this.ask('pg_wal_replay_resume()');
  }

  async replayed(lsn: string): Promise<void> {
    await this.untilTrue(`pg_last_wal_replay_lsn() >= '${lsn}'`);
  }

  async isInRecovery(): Promise<unknown> {
    return this.ask('pg_is_in_recovery()');
  }

  private async untilTrue(expression: string): Promise<void> {
    await vi.waitUntil(async () => this.ask(expression), POLL);
  }

  private async ask(expression: string): Promise<unknown> {
    const [row] = await this.postgres.query<{ answer: unknown }>('postgres', `SELECT ${expression} AS answer`);
    return row?.answer;
  }
}
