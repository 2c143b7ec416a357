import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { CaseEntity } from '../../database/entities.js';
import { isErasureUnknown, isDataError } from '../../database/errors.js';
import { Metrics } from '../../metrics/metrics.js';
import { encodeColumns } from '../../database/binary-arrays.js';
import { type Outcomes, writeBatch, type Written } from './batch.js';
import { Connection } from '../../database/connection.js';
import { type Batch, comesOutOfOrder, type DeliveryKey, fold, identityOf } from './fold.js';
import { ErasureFilter } from '../erasure/erasure-filter.js';
import { Names } from './label-reconciler.js';
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

/** Told of each notification once, as soon as its fate is certain. */
export interface WriteObserver {
  onCommitted(outcomes: Outcomes): void;
  /** Another transaction holds the case: to be tried again after a while. */
  onCaseLocked(notification: Notification): void;
  /** PostgreSQL will not take this one, whatever stands beside it. */
  onRejected(notification: Notification, error: unknown): void;
}

/**
 * Writes notifications with everything that follows from them.
 *
 * Nearly all are the first of their case, so that is what a batch is first taken for: one statement, which is a transaction
 * of its own, writes all whose case is new indeed. The others go a second way: their cases are locked, the fold judges,
 * the outcome is written. Either way the row of the case is the one point where two writers meet, and writing again what
 * was written already changes nothing: so an attempt whose end is unknown is simply repeated.
 */
@Injectable()
export class Writer {
  constructor(
    private readonly dataSource: DataSource,
    private readonly names: Names,
    private readonly erasures: ErasureFilter,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Writes all that can be written now: a case that another transaction holds is passed over, so that nobody waits for it.
   *
   * @throws what PostgreSQL answered: then those that were not reported may or may not be written
   */
  async write(notifications: readonly Notification[], report: WriteObserver): Promise<void> {
    await this.writeOrSplit([writeAsNew, writeAsExisting], notifications, report);
  }

  /** Reports what `write` would, by writing indeed, and takes it all back. */
  async dryRun(notifications: readonly Notification[], report: WriteObserver): Promise<void> {
    await this.writeOrSplit([rolledBack(writeAsNew), rolledBack(writeAsExisting)], notifications, report);
  }

  private async writeOrSplit(
    ways: readonly [WriteStrategy, WriteStrategy],
    notifications: readonly Notification[],
    report: WriteObserver,
  ): Promise<void> {
    try {
      const lost = await this.attempt(ways[0], notifications, report);
      const held = await this.attempt(ways[1], lost, report);
      for (const notification of held) report.onCaseLocked(notification);
    } catch (error) {
      if (!(error instanceof BatchRejectedError)) throw error;
      const { batch, cause } = error;
      if (batch.length === 1) return report.onRejected(batch[0] as Notification, cause);
      const middle = Math.ceil(batch.length / 2);
      await this.writeOrSplit(ways, batch.slice(0, middle), report);
      await this.writeOrSplit(ways, batch.slice(middle), report);
    }
  }

  /** @returns those that this way could not write */
  private async attempt(
    way: WriteStrategy,
    all: readonly Notification[],
    report: WriteObserver,
  ): Promise<readonly Notification[]> {
    let batch = all;
    const write = async (connection: Connection): Promise<Written> => {
      batch = this.skipErased(batch, report); // in the same turn as it says what it knows: others learn meanwhile
      return way(connection, batch, this.erasures.lastErasureNumber);
    };
    while (batch.length > 0) {
      try {
        const { outcomes, renamings } = await withRetry(this.metrics, async () =>
          Connection.use(this.dataSource, write),
        );
        report.onCommitted(outcomes);
        this.names.settle(renamings);
        return batch.filter((notification) => !outcomes.has(notification));
      } catch (error) {
        if (!isErasureUnknown(error)) throw isDataError(error) ? new BatchRejectedError(batch, error) : error;
        await this.erasures.refresh();
      }
    }
    return [];
  }

  /** @returns those that may be written, as far as this process knows */
  private skipErased(batch: readonly Notification[], report: WriteObserver): readonly Notification[] {
    const erased = new Map<Notification, 'erased'>();
    for (const notification of batch) if (this.erasures.matches(notification)) erased.set(notification, 'erased');
    if (erased.size === 0) return batch;
    report.onCommitted(erased);
    return batch.filter((notification) => !erased.has(notification));
  }
}

type WriteStrategy = (
  connection: Connection,
  notifications: readonly Notification[],
  knownErasures: number,
) => Promise<Written>;

/** Something in it is not taken; what, only halving can tell. */
class BatchRejectedError extends Error {
  constructor(
    readonly batch: readonly Notification[],
    override readonly cause: unknown,
  ) {
    super();
  }
}

const writeAsNew: WriteStrategy = async (connection, notifications, knownErasures) => {
  const batch = fold(notifications, [], new Map());
  return writeBatch(connection, batch, knownErasures);
};

const writeAsExisting: WriteStrategy = async (connection, notifications, knownErasures) =>
  connection.transaction(async () => {
    const stored = await lockCases(connection, notifications);
    const batch = fold(notifications, stored, await readHistories(connection, notifications, stored));
    await replaceNodeTasks(connection, batch);
    return writeBatch(connection, batch, knownErasures);
  });

class RollbackSignal extends Error {}

/** The same way, but nothing of it stays. */
function rolledBack(way: WriteStrategy): WriteStrategy {
  return async (connection, notifications, knownErasures) => {
    let outcomes: Outcomes = new Map();
    const written = connection.transaction(async () => {
      ({ outcomes } = await way(connection, notifications, knownErasures));
      throw new RollbackSignal();
    });
    await written.catch((error: unknown) => {
      if (!(error instanceof RollbackSignal)) throw error;
    });
    return { outcomes, renamings: [] };
  };
}

async function lockCases(connection: Connection, notifications: readonly Notification[]): Promise<CaseEntity[]> {
  const asked = [...new Map(notifications.map(({ completion }) => [identityOf(completion), completion])).values()];
  return connection.query<CaseEntity>(LOCK_CASES, encodeColumns(asked, IDENTITY));
}

/** Deliveries that come in order need nothing but the case; only for the others the past is read. */
async function readHistories(
  connection: Connection,
  notifications: readonly Notification[],
  stored: readonly CaseEntity[],
): Promise<Map<string, DeliveryKey[]>> {
  const byIdentity = new Map(stored.map((state) => [identityOf(state), state]));
  const asked = new Set<CaseEntity>();
  for (const notification of notifications) {
    const state = byIdentity.get(identityOf(notification.completion));
    if (state && comesOutOfOrder(notification, state)) asked.add(state);
  }
  if (asked.size === 0) return new Map();
  type Row = { case_ref: string; id: string; received_at: Date; content_digest: Buffer };
  const rows = await connection.query<Row>(READ_HISTORIES, encodeColumns([...asked], REF));
  const histories = new Map<string, DeliveryKey[]>([...asked].map(({ id }) => [id, []]));
  for (const row of rows) {
    histories.get(row.case_ref)?.push({ id: row.id, receivedAt: row.received_at, contentDigest: row.content_digest });
  }
  return histories;
}

async function replaceNodeTasks(connection: Connection, batch: Batch): Promise<void> {
  const known = new Set(batch.existingCases.map(({ id }) => id));
  const replaced = batch.replacedNodeTasks.map(({ state }) => state).filter(({ id }) => known.has(id));
  if (replaced.length > 0) await connection.query(DELETE_CASE_NODE_TASKS, encodeColumns(replaced, REF));
  if (batch.movedCompletions.length > 0)
    await connection.query(UPDATE_NODE_TASK_COMPLETION, encodeColumns(batch.movedCompletions, MOVED));
}
