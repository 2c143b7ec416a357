import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { CONFIG, type Config, type Retention as Days } from '../../config/config.js';
import { Connection, type Statement } from '../../database/connection.js';
import { QUERY } from '../../database/data-source.js';
import { describeError, isDatabaseUnavailable } from '../../database/errors.js';
import { FIRST_ID, lowestIdAt } from '../../database/ids.js';
import { withTimeout } from '../../database/timeout.js';
import { Metrics } from '../../metrics/metrics.js';
import { REMOVE_CASES } from '../erasure/erasure.sql.js';
import {
  RELEASE_LOCK,
  LOCK_OLD_CASES,
  MOVE_FEED_START,
  READ_FEED_START,
  READ_OLDEST,
  REMOVE_BODIES,
  REMOVE_NOTIFICATIONS,
  REMOVE_QUARANTINED,
  REMOVE_REVEALS,
  SCAN_CASES,
  ACQUIRE_LOCK,
} from './retention.sql.js';

const INTERVAL_MS = 60_000;
const DAY_MS = 24 * 60 * 60 * 1000;

/** Pause after each deletion, as a multiple of its duration (10 % duty cycle). */
const PAUSE_FACTOR = 9;

/** The time that a running step has at shutdown. */
const SHUTDOWN_LIMIT_MS = 1_000;

type Rows = keyof Days;

/** The progress of a pass over the rows of one kind. */
interface Pass {
  readonly startedAt: number;
  after: readonly [time: Date | '-infinity', id: string];
}

/**
 * Deletes rows that are older than the settings allow, in small steps, on one replica at a time.
 *
 * A pass scans the rows in the order of receipt, each once: the next run continues where the last one ended. Once a day
 * a new pass begins, because a spool that was away may have written notifications with an older receipt.
 */
@Injectable()
export class RetentionJob implements OnModuleDestroy {
  readonly #logger = new Logger('Retention');
  readonly #days: Days;
  readonly #passes = new Map<Rows, Pass>();
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(
    @Inject(CONFIG) config: Config,
    @InjectDataSource(QUERY) private readonly dataSource: DataSource,
    private readonly metrics: Metrics,
  ) {
    this.#days = config.retention;
  }

  /** Starts the loop. The migrations must have run. */
  start(): void {
    this.#running = this.repeat();
  }

  async onModuleDestroy(): Promise<void> {
    this.#stopping.abort();
    await withTimeout(SHUTDOWN_LIMIT_MS, this.#running).catch(() => undefined);
  }

  /** Deletes all expired rows, unless another replica holds the lock. */
  async run(): Promise<void> {
    await Connection.use(this.dataSource, async (connection) => {
      const [lock] = await connection.query<{ is_mine: boolean }>(ACQUIRE_LOCK, []);
      if (!lock?.is_mine) return this.metrics.oldestRow.reset();
      try {
        await this.moveFeedStart(connection);
        await this.removeById(connection, 'bodies', REMOVE_BODIES);
        await this.removeById(connection, 'notifications', REMOVE_NOTIFICATIONS);
        await this.removeById(connection, 'quarantine', REMOVE_QUARANTINED);
        await this.removeCases(connection);
        await this.removeById(connection, 'audit', REMOVE_REVEALS);
        await this.reportOldestRows(connection);
      } finally {
        await connection.query(RELEASE_LOCK, []);
      }
    });
  }

  private async repeat(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.run().catch((error: unknown) => {
        if (!isDatabaseUnavailable(error)) this.#logger.error('retention failed', { error: describeError(error) });
      });
      await sleep(INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  private async moveFeedStart(connection: Connection): Promise<void> {
    const cutoff = this.cutoff(this.#days.notifications ?? this.#days.cases);
    if (!cutoff) return;
    let start = await connection.query<FeedStart>(READ_FEED_START, []);
    while (start[0] && !this.#stopping.signal.aborted) {
      const { removed_position, removed_id } = start[0];
      start = await connection.query<FeedStart>(MOVE_FEED_START, [removed_position, removed_id, cutoff]);
    }
  }

  /** Deletes rows whose ids are in the order of their times. */
  private async removeById(connection: Connection, rows: Exclude<Rows, 'cases'>, statement: Statement): Promise<void> {
    const cutoff = this.cutoff(this.#days[rows]);
    if (!cutoff) return;
    await this.pass(rows, async (pass) => {
      const parameters = [pass.after[1], lowestIdAt(cutoff), cutoff];
      const [step] = await connection.query<{ last: string | null; removed: number }>(statement, parameters);
      const { last = null, removed = 0 } = step ?? {};
      if (last !== null) pass.after = ['-infinity', last];
      return { isOver: last === null, removed };
    });
  }

  private async removeCases(connection: Connection): Promise<void> {
    const cutoff = this.cutoff(this.#days.cases);
    if (!cutoff) return;
    await this.pass('cases', async (pass) => {
      type Row = { id: string; completed_at: Date; is_removable: boolean };
      const scanned = await connection.query<Row>(SCAN_CASES, [...pass.after, cutoff]);
      const ids = scanned.filter(({ is_removable }) => is_removable).map(({ id }) => id);
      const removed = ids.length === 0 ? 0 : await removeOldCases(connection, ids, cutoff);
      const last = scanned.at(-1);
      if (last) pass.after = [last.completed_at, last.id];
      return { isOver: !last, removed };
    });
  }

  /** Runs steps until no row is left to scan. */
  private async pass(rows: Rows, step: (pass: Pass) => Promise<{ isOver: boolean; removed: number }>): Promise<void> {
    const pass = this.currentPass(rows);
    let total = 0;
    while (!this.#stopping.signal.aborted) {
      const startedAt = performance.now();
      const { isOver, removed } = await step(pass);
      this.metrics.retentionRemoved.inc({ rows }, removed);
      total += removed;
      if (isOver) break;
      const pauseMs = removed > 0 ? PAUSE_FACTOR * (performance.now() - startedAt) : 0;
      await sleep(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    }
    if (total > 0) this.#logger.log('expired rows deleted', { rows, removed: total });
  }

  private currentPass(rows: Rows): Pass {
    const current = this.#passes.get(rows);
    if (current && Date.now() - current.startedAt < DAY_MS) return current;
    const pass: Pass = { startedAt: Date.now(), after: ['-infinity', FIRST_ID] };
    this.#passes.set(rows, pass);
    return pass;
  }

  private async reportOldestRows(connection: Connection): Promise<void> {
    const lastRemovedBody = this.#passes.get('bodies')?.after[1] ?? FIRST_ID;
    const [oldest] = await connection.query<Record<Rows, Date | null>>(READ_OLDEST, [lastRemovedBody]);
    for (const [rows, time] of Object.entries(oldest ?? {}))
      this.metrics.oldestRow.set({ rows }, (time?.getTime() ?? 0) / 1000);
  }

  private cutoff(days: number | undefined): Date | undefined {
    return days === undefined ? undefined : new Date(Date.now() - days * DAY_MS);
  }
}

type FeedStart = { removed_position: string; removed_id: string };

async function removeOldCases(connection: Connection, ids: readonly string[], cutoff: Date): Promise<number> {
  return connection.transaction(async () => {
    const locked = await connection.query<{ id: string }>(LOCK_OLD_CASES, [ids, cutoff]);
    if (locked.length > 0) await connection.query(REMOVE_CASES, [locked.map(({ id }) => id)]);
    return locked.length;
  });
}
