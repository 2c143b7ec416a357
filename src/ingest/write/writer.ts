import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { CaseEntity } from '../../database/entities.js';
import { isErasureUnknown, isDataError } from '../../database/errors.js';
import { Metrics } from '../../metrics/metrics.js';
import { encodeColumns } from '../../database/binary-arrays.js';
import { type Outcomes, writeBatch } from './batch.js';
import { Connection } from '../../database/connection.js';
import { type Batch, comesOutOfOrder, type DeliveryKey, fold, identityOf } from './fold.js';
import { ErasureFilter } from '../erasure/erasure-filter.js';
import type { Notification } from '../notification/notification.js';
import { withRetry } from '../../database/retry.js';
import {
  DELETE_CASE_NODE_TASKS,
  IDENTITY,
  LOCK_CASES,
  UPDATE_NODE_TASK_COMPLETION,
  MOVED,
  READ_HISTORIES,
  REF,
} from './batch.sql.js';

/** Receives the result of each notification once, as soon as it is certain. */
export interface WriteObserver {
  onCommitted(outcomes: Outcomes): void;
  /** Another transaction has locked the case. The caller retries later. */
  onCaseLocked(notification: Notification): void;
  /** PostgreSQL rejects this notification, in any batch. */
  onRejected(notification: Notification, error: unknown): void;
}

/**
 * Writes notifications and everything that they change.
 *
 * Most notifications are the first of their case. So a batch is first written as new: one statement, in a transaction of its
 * own, writes all notifications whose case does not exist. The others are written as existing: the writer locks their cases,
 * folds, and writes the result. Both ways meet other writers only at the row of the case. A notification that is stored
 * already changes nothing, so an attempt with an unknown result is repeated.
 */
@Injectable()
export class Writer {
  constructor(
    private readonly dataSource: DataSource,
    private readonly erasures: ErasureFilter,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Writes all notifications whose case no other transaction has locked.
   *
   * @throws the error of PostgreSQL: notifications without a reported result may or may not be written
   */
  async write(notifications: readonly Notification[], observer: WriteObserver): Promise<void> {
    await this.writeOrSplit([writeAsNew, writeAsExisting], notifications, observer);
  }

  /** Reports what `write` would report: it writes, and rolls back. */
  async dryRun(notifications: readonly Notification[], observer: WriteObserver): Promise<void> {
    await this.writeOrSplit([rolledBack(writeAsNew), rolledBack(writeAsExisting)], notifications, observer);
  }

  private async writeOrSplit(
    strategies: readonly [asNew: WriteStrategy, asExisting: WriteStrategy],
    notifications: readonly Notification[],
    observer: WriteObserver,
  ): Promise<void> {
    try {
      const existing = await this.attempt(strategies[0], notifications, observer);
      const caseLocked = await this.attempt(strategies[1], existing, observer);
      for (const notification of caseLocked) observer.onCaseLocked(notification);
    } catch (error) {
      if (!(error instanceof BatchRejectedError)) throw error;
      const { batch, cause } = error;
      if (batch.length === 1) return observer.onRejected(batch[0] as Notification, cause);
      const middle = Math.ceil(batch.length / 2);
      await this.writeOrSplit(strategies, batch.slice(0, middle), observer);
      await this.writeOrSplit(strategies, batch.slice(middle), observer);
    }
  }

  /** @returns the notifications that this strategy could not write */
  private async attempt(
    strategy: WriteStrategy,
    all: readonly Notification[],
    observer: WriteObserver,
  ): Promise<readonly Notification[]> {
    let batch = all;
    const write = async (connection: Connection): Promise<Outcomes> => {
      // In the same turn of the event loop as reading the number: another write may load erasures in between.
      batch = this.skipErased(batch, observer);
      return strategy(connection, batch, this.erasures.lastErasureNumber);
    };
    while (batch.length > 0) {
      try {
        const outcomes = await withRetry(this.metrics, async () => Connection.use(this.dataSource, write));
        observer.onCommitted(outcomes);
        return batch.filter((notification) => !outcomes.has(notification));
      } catch (error) {
        if (!isErasureUnknown(error)) throw isDataError(error) ? new BatchRejectedError(batch, error) : error;
        await this.erasures.refresh();
      }
    }
    return [];
  }

  /** @returns the notifications that no loaded erasure matches */
  private skipErased(batch: readonly Notification[], observer: WriteObserver): readonly Notification[] {
    const erased = new Map<Notification, 'erased'>();
    for (const notification of batch) if (this.erasures.matches(notification)) erased.set(notification, 'erased');
    if (erased.size === 0) return batch;
    observer.onCommitted(erased);
    return batch.filter((notification) => !erased.has(notification));
  }
}

type WriteStrategy = (
  connection: Connection,
  notifications: readonly Notification[],
  lastErasureNumber: number,
) => Promise<Outcomes>;

/** PostgreSQL rejects at least one notification of a batch. Splitting the batch finds it. */
class BatchRejectedError extends Error {
  constructor(
    readonly batch: readonly Notification[],
    override readonly cause: unknown,
  ) {
    super();
  }
}

const writeAsNew: WriteStrategy = async (connection, notifications, lastErasureNumber) =>
  writeBatch(connection, fold(notifications, [], new Map()), lastErasureNumber);

const writeAsExisting: WriteStrategy = async (connection, notifications, lastErasureNumber) =>
  connection.transaction(async () => {
    const stored = await lockCases(connection, notifications);
    const batch = fold(notifications, stored, await readHistories(connection, notifications, stored));
    await replaceNodeTasks(connection, batch);
    return writeBatch(connection, batch, lastErasureNumber);
  });

class RollbackSignal extends Error {}

/** The same strategy, rolled back at its end. */
function rolledBack(strategy: WriteStrategy): WriteStrategy {
  return async (connection, notifications, lastErasureNumber) => {
    let outcomes: Outcomes = new Map();
    const written = connection.transaction(async () => {
      outcomes = await strategy(connection, notifications, lastErasureNumber);
      throw new RollbackSignal();
    });
    await written.catch((error: unknown) => {
      if (!(error instanceof RollbackSignal)) throw error;
    });
    return outcomes;
  };
}

async function lockCases(connection: Connection, notifications: readonly Notification[]): Promise<CaseEntity[]> {
  const byIdentity = new Map(notifications.map(({ completion }) => [identityOf(completion), completion]));
  return connection.query<CaseEntity>(LOCK_CASES, encodeColumns([...byIdentity.values()], IDENTITY));
}

/** Reads the histories of the cases with a late delivery. A delivery in order needs only the row of its case. */
async function readHistories(
  connection: Connection,
  notifications: readonly Notification[],
  stored: readonly CaseEntity[],
): Promise<Map<string, DeliveryKey[]>> {
  const byIdentity = new Map(stored.map((state) => [identityOf(state), state]));
  const withLateDelivery = new Set<CaseEntity>();
  for (const notification of notifications) {
    const state = byIdentity.get(identityOf(notification.completion));
    if (state && comesOutOfOrder(notification, state)) withLateDelivery.add(state);
  }
  if (withLateDelivery.size === 0) return new Map();
  type Row = { case_ref: string; id: string; received_at: Date; content_digest: Buffer };
  const rows = await connection.query<Row>(READ_HISTORIES, encodeColumns([...withLateDelivery], REF));
  const histories = new Map<string, DeliveryKey[]>([...withLateDelivery].map(({ id }) => [id, []]));
  for (const row of rows) {
    histories.get(row.case_ref)?.push({ id: row.id, receivedAt: row.received_at, contentDigest: row.content_digest });
  }
  return histories;
}

async function replaceNodeTasks(connection: Connection, batch: Batch): Promise<void> {
  const existing = new Set(batch.existingCases.map(({ id }) => id));
  const replaced = batch.replacedNodeTasks.map(({ state }) => state).filter(({ id }) => existing.has(id));
  if (replaced.length > 0) await connection.query(DELETE_CASE_NODE_TASKS, encodeColumns(replaced, REF));
  if (batch.movedCompletions.length > 0)
    await connection.query(UPDATE_NODE_TASK_COMPLETION, encodeColumns(batch.movedCompletions, MOVED));
}
