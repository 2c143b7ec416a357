import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { describeError } from '../../database/errors.js';
import { Metrics } from '../../metrics/metrics.js';
import { olderOf, type Renaming, writeBatch } from './batch.js';
import { Connection, type Statement } from '../../database/connection.js';
import { fold } from './fold.js';
import { collectLabels } from './labels.js';
import { type Kind, type Notification, parseNotification } from '../notification/notification.js';
import { Rejection } from '../notification/rejection.js';
import { withRetry } from '../../database/retry.js';
import { ALL_SEE, HAVE_ENDED, READ_NEWER } from './label-reconciler.sql.js';

const PAGE_SIZE = 500;
const POLL_INTERVAL_MS = 20;
/** Longer than any statement of ours may take. */
const PATIENCE_MS = 30_000;

const NOTHING = fold([], [], new Map());

/** Names alone bring nobody back: there is no need to know of erasures. */
const ALL_ERASURES = Number.MAX_SAFE_INTEGER;

/**
 * Keeps the names of workflows and node tasks those of their newest deliveries.
 *
 * A delivery that repeats a name writes nothing, so that the row that all cases of a workflow share is no queue. The price:
 * where a name flips back (A, B, A) and B is written last, B looks newer than the A that is stored. Renaming is rare, so
 * whoever renames looks again: once all statements that did not see the new name have ended, and their transactions too, what
 * they wrote is in the table, and whoever comes later sees the name.
 */
@Injectable()
export class Names {
  readonly #logger = new Logger('Names');
  readonly #open = new Map<string, Renaming>();
  #running: Promise<void> | undefined;

  constructor(
    private readonly dataSource: DataSource,
    private readonly metrics: Metrics,
  ) {}

  /** Looks again in the background: nobody's answer waits for it. */
  settle(renamings: readonly Renaming[]): void {
    for (const renaming of renamings) {
      const since = this.#open.get(renaming.workflowId)?.since ?? renaming.since;
      this.#open.set(renaming.workflowId, {
        ...renaming,
        since: olderOf(since, renaming.since),
      });
    }
    if (this.#open.size > 0) this.#running ??= this.run().finally(() => (this.#running = undefined));
  }

  /** Returns when nothing is being looked at any more. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** One at a time, so that alternating names take no connections from the commits. */
  private async run(): Promise<void> {
    while (this.#open.size > 0) {
      const renamings = [...this.#open.values()];
      this.#open.clear();
      try {
        this.settle(await this.lookAgain(renamings));
      } catch (error) {
        this.#logger.warn('names may be out of date', { error: describeError(error) });
      }
    }
  }

  private async lookAgain(renamings: readonly Renaming[]): Promise<readonly Renaming[]> {
    const deadline = performance.now() + PATIENCE_MS;
    for (const { transaction } of renamings) {
      const { horizon } = await this.poll<{ horizon: string }>(ALL_SEE, transaction, deadline);
      await this.poll(HAVE_ENDED, horizon, deadline);
    }
    const newest: Notification[] = [];
    for (const renaming of renamings) newest.unshift(...(await this.readNewer(renaming)));
    const batch = { ...NOTHING, labels: collectLabels(newest) };
    const { renamings: again } = await withRetry(this.metrics, async () =>
      Connection.use(this.dataSource, async (connection) => writeBatch(connection, batch, ALL_ERASURES)),
    );
    return again;
  }

  private async poll<Row extends object>(statement: Statement, transaction: string, deadline: number): Promise<Row> {
    for (;;) {
      const [row] = await Connection.use(this.dataSource, async (connection) =>
        connection.query<Row>(statement, [transaction]),
      );
      if (row) return row;
      if (performance.now() > deadline) throw new Error('some other write has been under way for too long');
      await sleep(POLL_INTERVAL_MS);
    }
  }

  /** Page by page, newest first. */
  private async readNewer({ workflowId, since }: Renaming): Promise<Notification[]> {
    const newer: Notification[] = [];
    type Row = { id: string; kind: Kind; received_at: Date; body: Buffer };
    const after = [since.named_at.toISOString(), since.named_by];
    let before = ['infinity', since.named_by];
    for (;;) {
      const rows = await Connection.use(this.dataSource, async (connection) =>
        connection.query<Row>(READ_NEWER, [workflowId, ...after, ...before, PAGE_SIZE]),
      );
      for (const { id, kind, received_at: receivedAt, body } of rows) {
        const judged = parseNotification({ id, kind, receivedAt }, body);
        if (!(judged instanceof Rejection)) newer.unshift(judged);
      }
      const last = rows.at(-1);
      if (!last || rows.length < PAGE_SIZE) return newer;
      before = [last.received_at.toISOString(), last.id];
    }
  }
}
