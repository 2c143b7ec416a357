import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { describeError } from '../../database/errors.js';
import { withTimeout } from '../../database/timeout.js';
import { Problem } from '../../http/problem/problem.js';
import { Metrics } from '../../metrics/metrics.js';
import type { Outcome } from './batch.js';
import type { Notification, Receipt } from '../notification/notification.js';
import { QuarantineWriter } from '../quarantine/quarantine-writer.js';
import { quarantineFullProblem, Rejection, databaseRejection } from '../notification/rejection.js';
import { Spool } from '../spool/spool.js';
import { type WriteObserver, Writer } from './writer.js';

/** Larger batches gain nothing, and make each of their notifications wait for more others. */
const MAX_BATCH = 200;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;

/** A commit that takes longer is given to the spool: AI Rudder waits for us, and others queue behind. */
const COMMIT_LIMIT_MS = 700;

/** Where another transaction holds a case, its notifications try again after about so long, until `COMMIT_LIMIT_MS`. */
const LOCKED_CASE_RETRY_MS = 10;

/** How a notification was taken in: its verdict, once it is in PostgreSQL; `spooled` while it is on local disk. */
export type Acceptance = Outcome | 'spooled';

interface Entry {
  readonly notification: Notification;
  readonly addedAt: number;
  readonly accept: (result: Acceptance | Rejection) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Where notifications wait for their commit: the one stateful class on the way in.
 *
 * **Group commit.** What arrives while a commit is under way travels together in the next one. A lone notification finds
 * none under way and waits for nothing; under load a batch costs PostgreSQL little more than one would. The trade is
 * that a notification may wait for one commit that it is not part of.
 *
 * **Two states.** *Direct*: batches go to PostgreSQL. *Spooling*: since a batch failed because PostgreSQL was away, or took
 * longer than `COMMIT_LIMIT_MS`, batches go to the spool, until the `Drainer` has found that PostgreSQL takes them again.
 *
 * **What a caller may rely on.** `add` returns once the notification is durable: committed in PostgreSQL, or fsynced in
 * the spool. It returns a Rejection if PostgreSQL will never take it, and throws a Problem `service_unavailable` if neither took
 * it; then nothing was promised. A commit that was given up may still happen, and the spool holds the same notification
 * then: the writer makes one row of the two. Every notification is settled, also at the end (`close`).
 */
@Injectable()
export class NotificationBuffer {
  readonly #logger = new Logger('Buffer');
  readonly #waiting: Entry[] = [];
  #becameIdle: (() => void) | undefined;
  #isCommitting = false;
  #awaitingRetry = 0;
  #isFlushScheduled = false;
  #isClosed = false;
  #spoolingSince: Date | undefined;

  constructor(
    private readonly writer: Writer,
    private readonly quarantine: QuarantineWriter,
    private readonly spool: Spool,
    private readonly metrics: Metrics,
  ) {}

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get isSpooling(): boolean {
    return this.#spoolingSince !== undefined;
  }

  /** @throws Problem `service_unavailable` */
  async add(notification: Notification): Promise<Acceptance | Rejection> {
    if (this.#isClosed) throw new Problem('service_unavailable', 'The service is being stopped.');
    return new Promise((accept, reject) => {
      this.#waiting.push({ notification, addedAt: performance.now(), accept, reject });
      this.scheduleFlush();
    });
  }

  /**
   * Keeps a refused body: in quarantine, or in the spool on its way there.
   *
   * @returns the id under which it is kept
   * @throws Problem `quarantine_full`; SpoolError if neither takes it. Then the sender must not be told that it was refused
   */
  async storeRejected(receipt: Receipt, refusal: Rejection): Promise<string> {
    if (!this.isSpooling) {
      try {
        return await this.quarantine.keep(receipt, refusal);
      } catch (error) {
        if (error instanceof Problem) throw error;
        // That this took long says nothing about PostgreSQL, and valid ones will tell.
      }
    }
    // What goes to the spool is brought to the quarantine whether there is room or not: so not where there was none.
    if (!this.quarantine.hasRoomFor(refusal.body)) throw quarantineFullProblem();
    const { body, reason, message, errors } = refusal;
    await this.spool.append([{ receipt, body, refusal: { reason, message, errors } }]);
    return receipt.id;
  }

  /** The drainer has found that PostgreSQL takes notifications again. */
  resume(): void {
    if (!this.#spoolingSince) return;
    const seconds = (Date.now() - this.#spoolingSince.getTime()) / 1000;
    this.#spoolingSince = undefined;
    this.#logger.log('PostgreSQL takes notifications again', { seconds, spooled: this.spool.report.notifications });
  }

  /** Takes no more, and returns once everything taken is settled. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.isIdle) return;
    await new Promise<void>((resolve) => (this.#becameIdle = resolve));
  }

  private get isIdle(): boolean {
    return this.#waiting.length === 0 && !this.#isCommitting && this.#awaitingRetry === 0;
  }

  /** All that came in with the same turn of the event loop travel together. */
  private scheduleFlush(): void {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    setImmediate(() => {
      this.#isFlushScheduled = false;
      this.flush();
    });
  }

  private flush(): void {
    if (this.#isCommitting) return;
    if (this.#waiting.length > 0) {
      this.#isCommitting = true;
      void this.commit(this.takeBatch()).finally(() => {
        this.#isCommitting = false;
        this.flush();
      });
    } else if (this.isIdle) this.#becameIdle?.();
  }

  private takeBatch(): Entry[] {
    let bytes = 0;
    const end = this.#waiting.findIndex(({ notification }, index) => {
      bytes += notification.body.length;
      return index === MAX_BATCH || (index > 0 && bytes > MAX_BATCH_BYTES);
    });
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end);
  }

  private async commit(entries: readonly Entry[]): Promise<void> {
    const beganAt = performance.now();
    const unsettled = new Map(entries.map((entry) => [entry.notification, entry]));
    try {
      if (!this.isSpooling)
        await withTimeout(COMMIT_LIMIT_MS, this.writer.write([...unsettled.keys()], this.settle(unsettled)));
    } catch (error) {
      this.beginSpooling(error);
    }
    const rest = [...unsettled.values()];
    unsettled.clear(); // a commit that comes late after all finds nobody to tell
    await this.toSpool(rest);
    this.metrics.commitSize.observe(entries.length);
    this.metrics.commitDuration.observe((performance.now() - beganAt) / 1000);
  }

  private settle(unsettled: Map<Notification, Entry>): WriteObserver {
    const take = (notification: Notification): Entry | undefined => {
      const entry = unsettled.get(notification);
      unsettled.delete(notification);
      return entry;
    };
    return {
      onCommitted: (outcomes) => {
        for (const [notification, outcome] of outcomes) take(notification)?.accept(outcome);
      },
      onCaseLocked: (notification) => {
        const entry = take(notification);
        if (entry) this.retryLater(entry);
      },
      onRejected: (notification, error) => take(notification)?.accept(databaseRejection(notification.body, error)),
    };
  }

  /** Whoever holds the case has some time to let go; a notification that waits for it keeps no other from its commit. */
  private retryLater(entry: Entry): void {
    this.#awaitingRetry += 1;
    const isTimeUp = performance.now() - entry.addedAt > COMMIT_LIMIT_MS;
    const pause = isTimeUp ? this.toSpool([entry]) : sleep(LOCKED_CASE_RETRY_MS * (0.5 + Math.random()));
    void pause.finally(() => {
      this.#awaitingRetry -= 1;
      if (!isTimeUp) this.#waiting.push(entry);
      this.flush();
    });
  }

  private async toSpool(entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return;
    try {
      await this.spool.append(entries.map(({ notification }) => ({ receipt: notification, body: notification.body })));
      for (const { accept } of entries) accept('spooled');
    } catch (error) {
      for (const { reject } of entries) reject(error);
    }
  }

  private beginSpooling(error: unknown): void {
    if (this.#spoolingSince) return;
    this.#spoolingSince = new Date();
    this.#logger.error('PostgreSQL does not take notifications: they go to the spool', { error: describeError(error) });
  }
}
