import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { describeError } from '../../database/errors.js';
import { GroupCommit } from '../../database/group-commit.js';
import { withTimeout } from '../../database/timeout.js';
import { Problem } from '../../http/problem/problem.js';
import { Metrics } from '../../metrics/metrics.js';
import type { Outcome } from './batch.js';
import type { Notification, Receipt } from '../notification/notification.js';
import { QuarantineWriter } from '../quarantine/quarantine-writer.js';
import { quarantineFullProblem, type Rejection, databaseRejection } from '../notification/rejection.js';
import { Spool } from '../spool/spool.js';
import { type WriteObserver, Writer } from './writer.js';

/** Larger batches are no faster, and each of their notifications waits for more others. */
const MAX_BATCH = 200;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;

/** A batch goes to the spool if its commit takes longer: the client waits, and other notifications queue up. */
const COMMIT_LIMIT_MS = 700;

/** The average pause before a notification with a locked case is retried. It is spooled after `COMMIT_LIMIT_MS`. */
const LOCKED_CASE_RETRY_MS = 10;

/** How a notification was stored: its outcome in PostgreSQL, or `spooled` while it is on local disk. */
export type Acceptance = Outcome | 'spooled';

interface Entry {
  readonly notification: Notification;
  readonly addedAt: number;
  readonly resolve: (result: Acceptance | Rejection) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Makes notifications durable, in batches.
 *
 * - *Direct*: batches go to PostgreSQL. A batch that fails, or takes longer than `COMMIT_LIMIT_MS`, starts *spooling*.
 * - *Spooling*: batches go to the spool. The drainer ends it by `resume` once PostgreSQL accepts a write.
 * - *Closed*: `add` fails. `close` returns once every notification is settled.
 *
 * `add` returns once the notification is durable: committed in PostgreSQL, or synced in the spool. It returns a Rejection if
 * PostgreSQL rejects the content. It throws if neither PostgreSQL nor the spool accepts the notification. A commit may
 * succeed after its timeout, while the spool has the same notification: the writer stores it once.
 */
@Injectable()
export class NotificationBuffer {
  readonly #logger = new Logger('Buffer');
  readonly #queue = new GroupCommit<Entry>(async (entries) => this.commit(entries), {
    count: MAX_BATCH,
    bytes: MAX_BATCH_BYTES,
    bytesOf: ({ notification }) => notification.body.length,
  });
  readonly #retries = new Set<Promise<void>>();
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

  /** @throws Problem `service_unavailable` if the buffer is closed; SpoolError if the spool does not accept it either */
  async add(notification: Notification): Promise<Acceptance | Rejection> {
    if (this.#isClosed) throw new Problem('service_unavailable', 'The service is shutting down.');
    return new Promise((resolve, reject) => {
      this.#queue.add({ notification, addedAt: performance.now(), resolve, reject });
    });
  }

  /**
   * Stores a rejected body in the quarantine, or in the spool, from where the drainer moves it to the quarantine.
   *
   * @returns the id of the body in the quarantine
   * @throws Problem `quarantine_full`; SpoolError if neither accepts it. The response must then not be the rejection
   */
  async storeRejected(receipt: Receipt, rejection: Rejection): Promise<string> {
    if (!this.isSpooling) {
      try {
        return await this.quarantine.keep(receipt, rejection);
      } catch (error) {
        if (error instanceof Problem) throw error;
        // Does not start spooling: only a failed batch of valid notifications does.
      }
    }
    // The drainer moves spooled bodies to the quarantine without a check of its limits, so check them here.
    if (!this.quarantine.hasRoomFor(rejection.body)) throw quarantineFullProblem();
    const { body, reason, message, errors } = rejection;
    await this.spool.append([{ receipt, body, rejection: { reason, message, errors } }]);
    return receipt.id;
  }

  /** Ends *spooling*. The drainer calls it after a successful write. */
  resume(): void {
    if (!this.#spoolingSince) return;
    const seconds = (Date.now() - this.#spoolingSince.getTime()) / 1000;
    this.#spoolingSince = undefined;
    const { notifications: spooled } = this.spool.report;
    this.#logger.log('PostgreSQL recovered, writing directly', { seconds, spooled });
  }

  /** Accepts no more notifications, and returns once all accepted ones are settled. */
  async close(): Promise<void> {
    this.#isClosed = true;
    do {
      await Promise.all(this.#retries);
      await this.#queue.close();
    } while (this.#retries.size > 0);
  }

  private async commit(entries: readonly Entry[]): Promise<void> {
    const startedAt = performance.now();
    const unsettled = new Map(entries.map((entry) => [entry.notification, entry]));
    try {
      if (!this.isSpooling)
        await withTimeout(COMMIT_LIMIT_MS, this.writer.write([...unsettled.keys()], this.observe(unsettled)));
    } catch (error) {
      this.beginSpooling(error);
    }
    const rest = [...unsettled.values()];
    unsettled.clear(); // ignore the results of a commit that succeeds after its timeout
    await this.toSpool(rest);
    this.metrics.commitSize.observe(entries.length);
    this.metrics.commitDuration.observe((performance.now() - startedAt) / 1000);
  }

  private observe(unsettled: Map<Notification, Entry>): WriteObserver {
    const take = (notification: Notification): Entry | undefined => {
      const entry = unsettled.get(notification);
      unsettled.delete(notification);
      return entry;
    };
    return {
      onCommitted: (outcomes) => {
        for (const [notification, outcome] of outcomes) take(notification)?.resolve(outcome);
      },
      onCaseLocked: (notification) => {
        const entry = take(notification);
        if (entry) this.retryLater(entry);
      },
      onRejected: (notification, error) => take(notification)?.resolve(databaseRejection(notification.body, error)),
    };
  }

  /** Retries after a pause, because another transaction has locked the case. Other notifications commit meanwhile. */
  private retryLater(entry: Entry): void {
    const retry = this.retry(entry).finally(() => this.#retries.delete(retry));
    this.#retries.add(retry);
  }

  private async retry(entry: Entry): Promise<void> {
    if (performance.now() - entry.addedAt > COMMIT_LIMIT_MS) return this.toSpool([entry]);
    await sleep(LOCKED_CASE_RETRY_MS * (0.5 + Math.random()));
    this.#queue.add(entry);
  }

  private async toSpool(entries: readonly Entry[]): Promise<void> {
    if (entries.length === 0) return;
    try {
      await this.spool.append(entries.map(({ notification }) => ({ receipt: notification, body: notification.body })));
      for (const { resolve } of entries) resolve('spooled');
    } catch (error) {
      for (const { reject } of entries) reject(error);
    }
  }

  private beginSpooling(error: unknown): void {
    if (this.#spoolingSince) return;
    this.#spoolingSince = new Date();
    this.#logger.error('PostgreSQL unavailable or slow, spooling to disk', { error: describeError(error) });
  }
}
