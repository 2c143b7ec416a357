import type { CaseNodeTaskEntity, NotificationEntity, Verdict } from '../../database/entities.js';
import { encodeColumns } from '../../database/binary-arrays.js';
import type { Connection } from '../../database/connection.js';
import type { Batch } from './fold.js';
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
 * Result of writing a notification: its verdict; `known` if an earlier attempt stored it; `erased` if an erasure of its
 * person came after its receipt.
 */
export type Outcome = Verdict | 'known' | 'erased';
export type Outcomes = ReadonlyMap<Notification, Outcome>;

/**
 * Writes what the fold emits for a batch, in one statement.
 *
 * @param lastErasureNumber the newest erasure that the batch was filtered by
 * @returns no outcome for a notification whose new case exists already
 */
export async function writeBatch(connection: Connection, batch: Batch, lastErasureNumber: number): Promise<Outcomes> {
  const rows = await connection.query<{ conflicting: string }>(WRITE_BATCH, [...encodeBatch(batch), lastErasureNumber]);
  const conflicting = new Set(rows.map((row) => row.conflicting));
  const outcomes = new Map<Notification, Outcome>(batch.alreadyStored.map((notification) => [notification, 'known']));
  for (const { notification, case_ref, verdict } of batch.notifications) {
    if (!conflicting.has(case_ref)) outcomes.set(notification, verdict);
  }
  return outcomes;
}

/** Encodes all parameters of `WRITE_BATCH` but the last one, in their order. */
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
