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
 * Notices what is committed, by whatever replica, and tells those in this process who wait for it.
 *
 * **One question, whoever waits.** While anybody watches, one statement every 100 ms asks the primary what has been
 * committed since the last one; how many watch, and for what, makes no difference to PostgreSQL. Nobody holds a
 * connection. (`NOTIFY` would make every commit of every replica queue for one lock, watched or not.)
 *
 * **Nothing is missed.** A tick compares snapshots, not positions: what a long transaction commits late is told as soon as
 * it is committed. After PostgreSQL could not be asked, all who wait look for themselves. In the feed an arrival is told once
 * all older transactions have ended.
 */
@Injectable()
export class CommitWatcher implements OnModuleDestroy {
  readonly #logger = new Logger('Watcher');
  readonly #arrivals = new EventEmitter().setMaxListeners(0);
  readonly #shared = { listeners: 0 };
  #watches = 0;
  #seen: SnapshotPosition | undefined;
  #isTicking = false;
  #isFailing = false;
  #isEnded = false;
  /** Committed, but not told in the feed yet. */
  #unpublished: CommittedEvent[] = [];
  /** Up to there the feed may have more than was told. */
  #unannouncedBefore = 0;

  /** @param dataSource the door's, where no number of slow reads can hold up a tick */
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly metrics: Metrics,
  ) {}

  /** From here on nothing that is committed is missed. */
  get hasBegun(): boolean {
    return this.#seen !== undefined;
  }

  get hasEnded(): boolean {
    return this.#isEnded;
  }

  /** Begins to look out. What is committed before `hasBegun` is true may not be told. */
  subscribe(): CommitSubscription {
    this.count(1);
    if (!this.#isTicking) void this.tick();
    return new CommitSubscription(this.#arrivals, this.#shared, () => this.count(-1));
  }

  onModuleDestroy(): void {
    this.end();
  }

  /** The service is to end: nobody waits any longer. */
  end(): void {
    this.#isEnded = true;
    this.#arrivals.emit(COMMIT_EVENTS.ended);
  }

  private count(change: 1 | -1): void {
    this.#watches += change;
    this.metrics.watchingRequests.set(this.#watches);
  }

  private async tick(): Promise<void> {
    this.#isTicking = true;
    while (this.#watches > 0 && !this.#isEnded) await sleep(await this.look());
    this.#isTicking = false;
    this.resetSnapshot();
  }

  /** @returns after how many milliseconds to look again */
  private async look(): Promise<number> {
    try {
      const parameters = [this.#seen?.next, this.#seen?.underWay];
      const statement = { name: 'read_arrivals', text: READ_COMMITTED_EVENTS };
      const rows = await Connection.use(this.dataSource, async (connection) =>
        connection.query<CommittedEventRow>(statement, parameters),
      );
      this.#isFailing = false;
      this.take(rows);
      return TICK_MS;
    } catch (error) {
      if (!this.#isFailing) this.#logger.error('arrivals cannot be asked for', { error: describeError(error) });
      this.#isFailing = true;
      this.resetSnapshot();
      return PAUSE_AFTER_FAILURE_MS;
    }
  }

  /** A server that comes back, or another one, may give out transaction ids again that were lost: it is looked at afresh. */
  private resetSnapshot(): void {
    this.#seen = undefined;
    this.#unpublished = [];
  }

  private take(rows: readonly CommittedEventRow[]): void {
    const isFirst = this.#seen === undefined;
    this.#seen = toSnapshotPosition(rows[0] as CommittedEventRow);
    const arrivals = toCommittedEvents(rows);
    const areAllHere = rows.length <= MAX_COMMITTED_EVENTS;
    if (!areAllHere) this.#arrivals.emit(COMMIT_EVENTS.many);
    else for (const arrival of arrivals) this.announce(arrival);
    this.#unpublished.push(...arrivals);
    if (isFirst || !areAllHere || this.#unpublished.length > MAX_COMMITTED_EVENTS) {
      this.#unannouncedBefore = this.#seen.next;
      this.#unpublished = [];
    }
    this.publish(this.#seen.horizon);
    if (isFirst) this.#arrivals.emit(COMMIT_EVENTS.begun);
  }

  private announce(arrival: CommittedEvent): void {
    this.#arrivals.emit(COMMIT_EVENTS.withCaseId(arrival.case_id), arrival);
    this.#arrivals.emit(COMMIT_EVENTS.withCalleeNumber(arrival.callee_number), arrival);
  }

  private publish(horizon: number): void {
    const published = this.#unpublished.filter(({ position }) => position < horizon);
    if (published.length > 0) this.#unpublished = this.#unpublished.filter(({ position }) => position >= horizon);
    for (const arrival of published) {
      this.#arrivals.emit(COMMIT_EVENTS.inFeed(), arrival);
      this.#arrivals.emit(COMMIT_EVENTS.inFeed(arrival.workflow_id), arrival);
    }
    if (this.#unannouncedBefore > 0 && this.#unannouncedBefore <= horizon) {
      this.#unannouncedBefore = 0;
      this.#arrivals.emit(COMMIT_EVENTS.manyInFeed);
    }
  }
}
