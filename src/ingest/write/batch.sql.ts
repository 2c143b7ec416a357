import type { Columns } from '../../database/binary-arrays.js';
import type { Statement } from '../../database/connection.js';

/** The SQL of the write path. One array per column carries any number of rows, so each statement has a constant text. */

/** Parameter: case refs. Reads ix_notifications_case. */
export const READ_HISTORIES: Statement = {
  name: 'read_histories',
  text: `
  SELECT case_ref, id, received_at, content_digest
  FROM notifications
  WHERE case_ref = ANY ($1::uuid[])
  ORDER BY case_ref, received_at, id`,
};

/** Parameter: case refs. */
export const DELETE_CASE_NODE_TASKS: Statement = {
  name: 'delete_case_node_tasks',
  text: `DELETE FROM case_node_tasks WHERE case_ref = ANY ($1::uuid[])`,
};

/** Parameters: case refs, times of completion. */
export const UPDATE_NODE_TASK_COMPLETION: Statement = {
  name: 'update_node_task_completion',
  text: `
  UPDATE case_node_tasks AS stored
  SET completed_at = moved.completed_at
  FROM unnest($1::uuid[], $2::timestamptz[]) AS moved (case_ref, completed_at)
  WHERE stored.case_ref = moved.case_ref`,
};

export const IDENTITY = { workflow_id: 'text', case_id: 'text', callee_number: 'text' } as const;
export const REF = { id: 'uuid' } as const;
export const MOVED = { id: 'uuid', completed_at: 'timestamptz' } as const;

const NAMED = { named_at: 'timestamptz', named_by: 'uuid' } as const;
const STATE = {
  completed_at: 'timestamptz',
  last_notified_at: 'timestamptz',
  notification_count: 'integer',
  revision: 'integer',
  current_notification_id: 'uuid',
  content_digest: 'bytea',
} as const;
export const WORKFLOW = { workflow_id: 'text', workflow_name: 'text', ...NAMED } as const;
export const NODE_TASK = {
  workflow_id: 'text',
  nodetask_id: 'text',
  nodetask_name: 'text',
  node_type: 'text',
  ...NAMED,
} as const;
export const NEW_CASE = { id: 'uuid', ...IDENTITY, ...STATE } as const;
export const EXISTING_CASE = { id: 'uuid', ...STATE } as const;
export const CASE_NODE_TASK = {
  case_ref: 'uuid',
  position: 'integer',
  workflow_id: 'text',
  nodetask_id: 'text',
  node_type: 'text',
  task_id: 'text',
  completed_at: 'timestamptz',
} as const;
export const NOTIFICATION = {
  id: 'uuid',
  kind: 'text',
  received_at: 'timestamptz',
  verdict: 'text',
  workflow_id: 'text',
  case_ref: 'uuid',
  content_digest: 'bytea',
  body: 'bytea',
  rewrites_past: 'boolean',
} as const;

/** The row types of `WRITE_BATCH`. Its parameters are their columns, one after the other. */
const BATCH: readonly Columns[] = [WORKFLOW, NODE_TASK, NEW_CASE, EXISTING_CASE, CASE_NODE_TASK, NOTIFICATION];

/** The last parameter: the newest erasure that the writer has loaded. */
const LAST_ERASURE = BATCH.flatMap((columns) => Object.keys(columns)).length + 1;

/** `unnest(…) AS name (…)` over the parameters that hold rows of one type of `BATCH`. */
function rows(columns: Columns, name: string): string {
  const before = BATCH.slice(0, BATCH.indexOf(columns)).flatMap((each) => Object.keys(each)).length;
  const parameters = Object.values(columns).map((type, index) => `$${before + index + 1}::${type}[]`);
  return `unnest(${parameters.join(', ')}) AS ${name} (${list(columns)})`;
}

/** Fails the statement with AR001 if an erasure exists that the writer has not loaded. Evaluated once, by pk_erasures. */
function erasuresAreLoaded(parameter: number): string {
  return `assert_erasures_known($${parameter}::bigint, (SELECT max(number) FROM erasures))`;
}

/** True if a stored label was not refreshed during the minute before a delivery. */
function isDue(stored: string, delivery: string): string {
  return `${stored}.named_at < ${delivery}.named_at - interval '1 minute'`;
}

function list(columns: Columns, prefix = ''): string {
  return Object.keys(columns)
    .map((name) => prefix + name)
    .join(', ');
}

/**
 * Parameters: workflow ids, case ids, callee numbers. Locks in key order, so that two writers cannot deadlock. Skips a case
 * that another transaction has locked: the rest of the batch must not wait for it.
 */
export const LOCK_CASES: Statement = {
  name: 'lock_cases',
  text: `
  SELECT ${list(NEW_CASE, 'stored.')}
  FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (workflow_id, case_id, callee_number)
  JOIN cases stored USING (workflow_id, case_id, callee_number)
  ORDER BY stored.workflow_id, stored.case_id, stored.callee_number
  FOR UPDATE OF stored SKIP LOCKED`,
};

/**
 * Writes a batch. A new case that another transaction has inserted first is conflicting: the statement returns its id, and
 * writes none of its rows. ON CONFLICT finds it, because PostgreSQL logs a violated constraint with the number in it.
 *
 * Fails if an erasure exists that the writer has not loaded (erasure-filter.ts). Outside of a transaction block the
 * statement is a transaction of its own.
 *
 * All cases of a workflow share the rows of its labels. An unchanged label neither writes nor locks its row if the row was
 * refreshed within a minute before the delivery. The newer delivery wins (docs/decisions/0017-labels.md).
 */
export const WRITE_BATCH: Statement = {
  name: 'write_batch',
  text: `
  WITH new_cases AS (
    INSERT INTO cases (${list(NEW_CASE)})
    SELECT *
    FROM ${rows(NEW_CASE, 'new_case')}
    ORDER BY ${list(IDENTITY)}
    ON CONFLICT ON CONSTRAINT uq_cases_identity DO NOTHING
    RETURNING id
  ),
  conflicting AS (
    SELECT id FROM ${rows(NEW_CASE, 'new_case')} WHERE id NOT IN (SELECT id FROM new_cases)
  ),
  existing_cases AS (
    UPDATE cases AS stored
    SET (${list(STATE)}) = (${list(STATE, 'updated.')})
    FROM ${rows(EXISTING_CASE, 'updated')}
    WHERE stored.id = updated.id
  ),
  node_tasks_of_cases AS (
    INSERT INTO case_node_tasks (${list(CASE_NODE_TASK)})
    SELECT *
    FROM ${rows(CASE_NODE_TASK, 'case_node_task')}
    WHERE case_ref NOT IN (SELECT id FROM conflicting)
  ),
  deliveries AS (
    INSERT INTO notifications (${list(NOTIFICATION)}, position)
    SELECT *, pg_current_xact_id()::text::bigint + (SELECT ahead_by FROM feed_clock)
    FROM ${rows(NOTIFICATION, 'delivery')}
    WHERE case_ref NOT IN (SELECT id FROM conflicting) AND ${erasuresAreLoaded(LAST_ERASURE)}
  ),
  workflow_labels AS (
    INSERT INTO workflows AS stored (${list(WORKFLOW)})
    SELECT *
    FROM ${rows(WORKFLOW, 'label')}
    WHERE NOT EXISTS (
      SELECT FROM workflows same
      WHERE (same.workflow_id, same.workflow_name) = (label.workflow_id, label.workflow_name)
        AND NOT ${isDue('same', 'label')})
    ORDER BY workflow_id
    ON CONFLICT (workflow_id) DO UPDATE
    SET (workflow_name, named_at, named_by) = (excluded.workflow_name, excluded.named_at, excluded.named_by)
    WHERE (stored.named_at, stored.named_by) < (excluded.named_at, excluded.named_by)
      AND (stored.workflow_name <> excluded.workflow_name OR ${isDue('stored', 'excluded')})
  ),
  node_task_labels AS (
    INSERT INTO node_tasks AS stored (${list(NODE_TASK)})
    SELECT *
    FROM ${rows(NODE_TASK, 'label')}
    WHERE NOT EXISTS (
      SELECT FROM node_tasks same
      WHERE (same.workflow_id, same.nodetask_id) = (label.workflow_id, label.nodetask_id)
        AND (same.nodetask_name, same.node_type) = (label.nodetask_name, label.node_type)
        AND NOT ${isDue('same', 'label')})
    ORDER BY workflow_id, nodetask_id
    ON CONFLICT (workflow_id, nodetask_id) DO UPDATE
    SET (nodetask_name, node_type, named_at, named_by)
      = (excluded.nodetask_name, excluded.node_type, excluded.named_at, excluded.named_by)
    WHERE (stored.named_at, stored.named_by) < (excluded.named_at, excluded.named_by)
      AND ((stored.nodetask_name, stored.node_type) <> (excluded.nodetask_name, excluded.node_type)
        OR ${isDue('stored', 'excluded')})
  )
  SELECT id AS conflicting FROM conflicting`,
};
