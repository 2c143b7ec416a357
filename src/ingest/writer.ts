import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import type {
  CaseEntity,
  CaseNodeTaskEntity,
  NodeTaskEntity,
  NotificationEntity,
  Verdict,
  WorkflowEntity,
} from '../database/entities.js';
import { isRetryable } from '../database/errors.js';
import { type Batch, comesOutOfOrder, type Delivered, fold, identityOf } from './fold.js';
import type { Notification } from './notification.js';
import {
  CASE_NODE_TASK_COLUMNS,
  DELETE_CONTENTS,
  KNOWN_CASE_COLUMNS,
  LOCK_CASES,
  MOVE_CONTENTS,
  NEW_CASE_COLUMNS,
  NODE_TASK_COLUMNS,
  NOTIFICATION_COLUMNS,
  READ_HISTORIES,
  WORKFLOW_COLUMNS,
  WRITE_BATCH,
} from './statements.js';

const MAX_ATTEMPTS = 10;
const MAX_PAUSE_MS = 5;

/** Another transaction made one of the new cases first: the next attempt finds and locks it. */
class LostRace extends Error {}

/**
 * Writes notifications with everything that follows from them in one transaction: the cases that exist are locked, the
 * fold judges, the outcome is written. Two writers meet only on the same case.
 */
@Injectable()
export class Writer {
  constructor(private readonly dataSource: DataSource) {}

  /**
   * @returns the verdict on each notification, once it is committed
   * @throws what PostgreSQL answered, with nothing written, unless the connection broke while the commit was under way
   */
  async write(notifications: readonly Notification[]): Promise<Map<Notification, Verdict>> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.dataSource.transaction(async (manager) => writeOnce(manager, notifications));
      } catch (error) {
        const isWorthRetrying = isRetryable(error) || error instanceof LostRace;
        if (!isWorthRetrying || attempt === MAX_ATTEMPTS) throw error;
        await sleep(Math.random() * attempt * MAX_PAUSE_MS);
      }
    }
  }
}

async function writeOnce(
  manager: EntityManager,
  notifications: readonly Notification[],
): Promise<Map<Notification, Verdict>> {
  const stored = await lockCases(manager, notifications);
  const histories = await readHistories(manager, notifications, stored);
  const batch = fold(notifications, stored, histories);
  await makeRoom(manager, batch);
  const written = await manager.query<unknown[]>(WRITE_BATCH, parametersOf(batch));
  if (written.length < notifications.length) throw new LostRace();
  return new Map(batch.notifications.map(({ notification, verdict }) => [notification, verdict]));
}

async function lockCases(manager: EntityManager, notifications: readonly Notification[]): Promise<CaseEntity[]> {
  const asked = [...new Map(notifications.map(({ completion }) => [identityOf(completion), completion])).values()];
  return manager.query<CaseEntity[]>(LOCK_CASES, columns(asked, ['workflow_id', 'case_id', 'callee_number']));
}

/** Deliveries that come in order need nothing but the case; only for the others the past is read. */
async function readHistories(
  manager: EntityManager,
  notifications: readonly Notification[],
  stored: readonly CaseEntity[],
): Promise<Map<string, Delivered[]>> {
  const byIdentity = new Map(stored.map((state) => [identityOf(state), state]));
  const refs = notifications.flatMap((notification) => {
    const state = byIdentity.get(identityOf(notification.completion));
    return state && comesOutOfOrder(notification, state) ? [state.id] : [];
  });
  if (refs.length === 0) return new Map();
  type Row = { case_ref: string; id: string; received_at: Date; content_digest: Buffer };
  const rows = await manager.query<Row[]>(READ_HISTORIES, [refs]);
  const histories = new Map<string, Delivered[]>(refs.map((ref) => [ref, []]));
  for (const row of rows) {
    histories.get(row.case_ref)?.push({ id: row.id, receivedAt: row.received_at, contentDigest: row.content_digest });
  }
  return histories;
}

async function makeRoom(manager: EntityManager, batch: Batch): Promise<void> {
  const known = new Set(batch.knownCases.map(({ id }) => id));
  const replaced = batch.contents.map(({ state }) => state.id).filter((id) => known.has(id));
  if (replaced.length > 0) await manager.query(DELETE_CONTENTS, [replaced]);
  if (batch.moved.length > 0) await manager.query(MOVE_CONTENTS, columns(batch.moved, ['id', 'completed_at']));
}

/** The columns of `WRITE_BATCH`, in its order. */
function parametersOf(batch: Batch): unknown[][] {
  const { workflows, nodeTasks } = collectNames(batch);
  return [
    ...columns(workflows, WORKFLOW_COLUMNS),
    ...columns(nodeTasks, NODE_TASK_COLUMNS),
    ...columns(batch.newCases, NEW_CASE_COLUMNS),
    ...columns(batch.knownCases, KNOWN_CASE_COLUMNS),
    ...columns(batch.contents.flatMap(toCaseNodeTasks), CASE_NODE_TASK_COLUMNS),
    ...columns(batch.notifications.map(toRow), NOTIFICATION_COLUMNS),
  ];
}

/** Notifications stand in order of receipt: of those that name the same thing the last one is the newest. */
function collectNames({ notifications }: Batch): { workflows: WorkflowEntity[]; nodeTasks: NodeTaskEntity[] } {
  const workflows = new Map<string, WorkflowEntity>();
  const nodeTasks = new Map<string, NodeTaskEntity>();
  for (const { notification } of notifications) {
    const { workflow_id, workflow_name, rows } = notification.completion;
    const naming = { workflow_id, named_at: notification.receivedAt, named_by: notification.id };
    workflows.set(workflow_id, { ...naming, workflow_name });
    for (const row of rows) nodeTasks.set(JSON.stringify([workflow_id, row.nodetask_id]), { ...naming, ...row });
  }
  return { workflows: [...workflows.values()], nodeTasks: [...nodeTasks.values()] };
}

function toCaseNodeTasks({ state, completion }: Batch['contents'][number]): CaseNodeTaskEntity[] {
  const { id: case_ref, workflow_id, completed_at } = state;
  return completion.rows.map((row, position) => ({ case_ref, position, workflow_id, completed_at, ...row }));
}

function toRow({ notification, case_ref, verdict }: Batch['notifications'][number]): NotificationEntity {
  const { id, kind, receivedAt: received_at, contentDigest: content_digest, body, completion } = notification;
  return { id, kind, received_at, verdict, workflow_id: completion.workflow_id, case_ref, content_digest, body };
}

function columns<T extends object>(rows: readonly T[], names: readonly (keyof T & string)[]): unknown[][] {
  return names.map((name) => rows.map((row) => row[name]));
}
