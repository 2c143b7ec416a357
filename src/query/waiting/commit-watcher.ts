import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Connection } from '../../database/connection.js';
import { describeError } from '../../database/errors.js';
import { Metrics } from '../../metrics/metrics.js';
import {
  type CommittedEvent,
  type CommittedEventRow,
  MAX_COMMITTED_EVENTS,
  READ_COMMITTED_EVENTS,
  type SnapshotPosition,
  toCommittedEvents,
  toSnapshotPosition,
} from './commit-watcher.sql.js';
import { COMMIT_EVENTS, CommitSubscription } from './subscription.js';

const TICK_MS = 100;
const PAUSE_AFTER_FAILURE_MS = 500;

/**
 * Announces the cases that any replica commits to the subscribers in this process.
 *
 * - **Idle**: no subscription is open, and no statement runs. Entered at the start, and when the last subscription
 *   closes.
 * - **Starting**: the first subscription begins a loop of one statement every 100 ms on the primary. `hasBegun` is
 *   false, and commits may be missed. The first answer ends this mode: subscribers receive `begun`.
 * - **Watching**: `hasBegun` is true, and every commit is announced once. Above 20,000 commits in one answer `many`
 *   replaces the single events, and every subscriber reads for itself.
 * - **Failing**: PostgreSQL did not answer. The snapshot is dropped, `hasBegun` is false, and the loop retries every
 *   500 ms. The next answer is a first one, as in Starting.
 * - **Ended**: the service shuts down. Subscribers receive `ended`, and the loop stops.
 *
 * A tick compares snapshots, not positions, so a commit of a long transaction is announced too. It is announced as
 * `inFeed` once all older transactions have ended.
 *
 * The load on PostgreSQL does not depend on the number of subscribers, and none of them holds a connection. `NOTIFY`
 * would serialise all commits of all replicas by one lock, even without subscribers.
 */
@Injectable()
export class CommitWatcher implements OnModuleDestroy {
  readonly #logger = new Logger('Watcher');
  readonly #events = new EventEmitter().setMaxListeners(0);
  readonly #shared = { listeners: 0 };
  #subscriptions = 0;
  #snapshot: SnapshotPosition | undefined;
  #isTicking = false;
  #isFailing = false;
  #isEnded = false;
  /** Committed events that are not announced as `inFeed` yet. */
  #unpublished: CommittedEvent[] = [];
  /** The feed may have events below this position that were not announced. */
  #unannouncedBefore = 0;

  /** @param dataSource the one of ingest: slow reads of clients cannot exhaust its pool and delay a tick */
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly metrics: Metrics,
  ) {}

  /** True from the first answer of PostgreSQL on: every later commit is announced. */
  get hasBegun(): boolean {
    return this.#snapshot !== undefined;
  }

  get hasEnded(): boolean {
    return this.#isEnded;
  }

  /** Opens a subscription. Commits before `hasBegun` may not be announced. */
  subscribe(): CommitSubscription {
    this.count(1);
    if (!this.#isTicking) void this.tick();
    return new CommitSubscription(this.#events, this.#shared, () => this.count(-1));
  }

  onModuleDestroy(): void {
    this.end();
  }

  /** Ends all waits, because the service shuts down. */
  end(): void {
    this.#isEnded = true;
    this.#events.emit(COMMIT_EVENTS.ended);
  }

  private count(change: 1 | -1): void {
    this.#subscriptions += change;
    this.metrics.watchingRequests.set(this.#subscriptions);
  }

  private async tick(): Promise<void> {
    this.#isTicking = true;
    while (this.#subscriptions > 0 && !this.#isEnded) await sleep(await this.poll());
    this.#isTicking = false;
    this.resetSnapshot();
  }

  /** @returns the milliseconds until the next poll */
  private async poll(): Promise<number> {
    try {
      const parameters = [this.#snapshot?.next, this.#snapshot?.running];
      const statement = { name: 'read_arrivals', text: READ_COMMITTED_EVENTS };
      const rows = await Connection.use(this.dataSource, async (connection) =>
        connection.query<CommittedEventRow>(statement, parameters),
      );
      this.#isFailing = false;
      this.process(rows);
      return TICK_MS;
    } catch (error) {
      if (!this.#isFailing) this.#logger.error('commit watcher query failed', { error: describeError(error) });
      this.#isFailing = true;
      this.resetSnapshot();
      return PAUSE_AFTER_FAILURE_MS;
    }
  }

  /** After a failover a server may issue transaction ids again that were lost, so an old snapshot is worthless. */
  private resetSnapshot(): void {
    this.#snapshot = undefined;
    this.#unpublished = [];
  }

  private process(rows: readonly CommittedEventRow[]): void {
    const isFirst = this.#snapshot === undefined;
    this.#snapshot = toSnapshotPosition(rows[0] as CommittedEventRow);
    const events = toCommittedEvents(rows);
    const isComplete = rows.length <= MAX_COMMITTED_EVENTS;
    if (!isComplete) this.#events.emit(COMMIT_EVENTS.many);
    else for (const event of events) this.announce(event);
    this.#unpublished.push(...events);
    if (isFirst || !isComplete || this.#unpublished.length > MAX_COMMITTED_EVENTS) {
      this.#unannouncedBefore = this.#snapshot.next;
      this.#unpublished = [];
    }
    this.publish(this.#snapshot.horizon);
    if (isFirst) this.#events.emit(COMMIT_EVENTS.begun);
  }

  private announce(event: CommittedEvent): void {
    this.#events.emit(COMMIT_EVENTS.withCaseId(event.case_id), event);
    this.#events.emit(COMMIT_EVENTS.withCalleeNumber(event.callee_number), event);
  }

  private publish(horizon: number): void {
    const published = this.#unpublished.filter(({ position }) => position < horizon);
    if (published.length > 0) this.#unpublished = this.#unpublished.filter(({ position }) => position >= horizon);
    for (const event of published) {
      this.#events.emit(COMMIT_EVENTS.inFeed(), event);
      this.#events.emit(COMMIT_EVENTS.inFeed(event.workflow_id), event);
    }
    if (this.#unannouncedBefore > 0 && this.#unannouncedBefore <= horizon) {
      this.#unannouncedBefore = 0;
      this.#events.emit(COMMIT_EVENTS.manyInFeed);
    }
  }
}
