import type { CaseNodeTaskEntity, NotificationEntity, Verdict, WorkflowEntity } from '../../database/entities.js';
import { encodeColumns } from '../../database/binary-arrays.js';
import type { Connection } from '../../database/connection.js';
import type { Batch } from './fold.js';
import type { Labels } from './labels.js';
import type { Notification } from '../notification/notification.js';
import {
  CASE_NODE_TASK,
  EXISTING_CASE,
  NEW_CASE,
  NODE_TASK,
  NOTIFICATION,
  WORKFLOW,
  WRITE_BATCH,
} from './batch.sql.js';

/**
 * What became of a notification: its verdict; `known` if an earlier attempt to write it had succeeded after all; `erased` if
 * its person was erased after it had been received.
 */
export type Outcome = Verdict | 'known' | 'erased';
export type Outcomes = ReadonlyMap<Notification, Outcome>;

/** A transaction gave a workflow, or node tasks in it, other names than they had. */
export interface Renaming {
  readonly workflowId: string;
  readonly transaction: string;
  /** The oldest delivery that a new name may come from. */
  readonly since: Naming;
}

export type Naming = Pick<WorkflowEntity, 'named_at' | 'named_by'>;

export interface Written {
  /** Not of those whose new case was known after all. */
  readonly outcomes: Outcomes;
  readonly renamings: readonly Renaming[];
}

/**
 * Writes what the fold has made of a batch, and the names in it.
 *
 * @param knownErasures those that the batch has been rid of
 */
export async function writeBatch(connection: Connection, batch: Batch, knownErasures: number): Promise<Written> {
  type Row = { lost: string | null; renamed: string | null; transaction: string | null };
  const rows = await connection.query<Row>(WRITE_BATCH, [...encodeBatch(batch), knownErasures]);
  const outcomes = new Map<Notification, Outcome>(batch.alreadyStored.map((notification) => [notification, 'known']));
  const lost = new Set(rows.map((row) => row.lost));
  for (const { notification, case_ref, verdict } of batch.notifications) {
    if (!lost.has(case_ref)) outcomes.set(notification, verdict);
  }
  const renamings = rows.flatMap(({ renamed: workflowId, transaction }) =>
    workflowId !== null && transaction !== null
      ? [{ workflowId, transaction, since: oldestIn(batch.labels, workflowId) }]
      : [],
  );
  return { outcomes, renamings };
}

function oldestIn({ workflows, nodeTasks }: Labels, workflowId: string): Naming {
  const namings: Naming[] = [...workflows, ...nodeTasks].filter(({ workflow_id }) => workflow_id === workflowId);
  return namings.reduce(olderOf);
}

/** Deliveries of the same millisecond are ordered by id. */
export function olderOf(one: Naming, other: Naming): Naming {
  const ms = one.named_at.getTime() - other.named_at.getTime();
  return ms < 0 || (ms === 0 && one.named_by < other.named_by) ? one : other;
}

/** In the order of the parameters of `WRITE_BATCH`, but for the last one. */
function encodeBatch(batch: Batch): Buffer[] {
  return [
    ...encodeColumns(batch.labels.workflows, WORKFLOW),
    ...encodeColumns(batch.labels.nodeTasks, NODE_TASK),
    ...encodeColumns(batch.newCases, NEW_CASE),
    ...encodeColumns(batch.existingCases, EXISTING_CASE),
    ...encodeColumns(batch.replacedNodeTasks.flatMap(toCaseNodeTasks), CASE_NODE_TASK),
    ...encodeColumns(batch.notifications.map(toRow), NOTIFICATION),
  ];
}

function toCaseNodeTasks({ state, completion }: Batch['replacedNodeTasks'][number]): CaseNodeTaskEntity[] {
  const { id: case_ref, workflow_id, completed_at } = state;
  return completion.rows.map((row, position) => ({ case_ref, position, workflow_id, completed_at, ...row }));
}

function toRow({
  notification,
  case_ref,
  verdict,
  rewritesPast: rewrites_past,
}: Batch['notifications'][number]): Omit<NotificationEntity, 'position'> {
  const { id, kind, receivedAt: received_at, contentDigest: content_digest, body, completion } = notification;
  const { workflow_id } = completion;
  return { id, kind, received_at, verdict, workflow_id, case_ref, content_digest, body, rewrites_past };
}
