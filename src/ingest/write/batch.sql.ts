import type { Columns } from '../../database/binary-arrays.js';
import type { Statement } from '../../database/connection.js';

/** The SQL of the way in. Arrays, one per column, carry any number of rows with one constant text. */

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
  name: 'delete_contents',
  text: `DELETE FROM case_node_tasks WHERE case_ref = ANY ($1::uuid[])`,
};

/** Parameters: case refs, times of completion. */
export const UPDATE_NODE_TASK_COMPLETION: Statement = {
  name: 'move_contents',
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

/** The parameters of `WRITE_BATCH`: the columns of rows of these, one after the other. */
const BATCH: readonly Columns[] = [WORKFLOW, NODE_TASK, NEW_CASE, EXISTING_CASE, CASE_NODE_TASK, NOTIFICATION];

/** The parameter after them: how many erasures the writer knows. */
const KNOWN_ERASURES = BATCH.flatMap((columns) => Object.keys(columns)).length + 1;

/** `unnest(…) AS name (…)` over the parameters that hold rows of one of `BATCH`. */
function rows(columns: Columns, name: string): string {
  const before = BATCH.slice(0, BATCH.indexOf(columns)).flatMap((each) => Object.keys(each)).length;
  const parameters = Object.values(columns).map((type, index) => `$${before + index + 1}::${type}[]`);
  return `unnest(${parameters.join(', ')}) AS ${name} (${list(columns)})`;
}

/** Fails the statement with AR001 where an erasure was decided that the writer does not know. Asked once, by pk_erasures. */
function erasuresAreKnown(parameter: number): string {
  return `assert_erasures_known($${parameter}::bigint, (SELECT max(number) FROM erasures))`;
}

function list(columns: Columns, prefix = ''): string {
  return Object.keys(columns)
    .map((name) => prefix + name)
    .join(', ');
}

/**
 * Parameters: workflow ids, case ids, callee numbers. In key order, so that two writers never wait for each other in a ring.
 * A case that another transaction holds is passed over rather than waited for: its neighbours must not wait with it.
 */
export const LOCK_CASES: Statement = {
  name: 'lock_cases',
  text: `
  SELECT ${list(NEW_CASE, 'stored.')}
  FROM unnest($1::text[], $2::text[], $3::text[]) AS asked (workflow_id, case_id, callee_number)
  JOIN cases stored USING (workflow_id, case_id, callee_number)
  ORDER BY stored.workflow_id, stored.case_id, stored.callee_number
  FOR UPDATE OF stored SKIP LOCKED`,
};

/**
 * Writes a batch, but for the new cases that turn out to be known, with what belongs to them: the ids of those are returned
 * as `lost`. Another transaction made them first, which is asked for rather than run into: PostgreSQL logs a violated constraint
 * with the number in it. Run by itself the statement is a transaction of its own.
 *
 * Nothing is written where an erasure is not known to the writer (erasures.ts).
 *
 * Workflows and node tasks are named by every notification: where nothing about them changes they are neither written
 * nor locked. Where a name differs, the newer delivery wins; workflows in which that happened are returned as `renamed`,
 * with the transaction that did it.
 */
export const WRITE_BATCH: Statement = {
  name: 'write_batch',
  text: `
  WITH new_cases AS (
    INSERT INTO cases (${list(NEW_CASE)})
    SELECT *
    FROM ${rows(NEW_CASE, 'made')}
    ORDER BY ${list(IDENTITY)}
    ON CONFLICT ON CONSTRAINT uq_cases_identity DO NOTHING
    RETURNING id
  ),
  lost AS (
    SELECT id FROM ${rows(NEW_CASE, 'made')} WHERE id NOT IN (SELECT id FROM new_cases)
  ),
  known_cases AS (
    UPDATE cases AS stored
    SET (${list(STATE)}) = (${list(STATE, 'now_known.')})
    FROM ${rows(EXISTING_CASE, 'now_known')}
    WHERE stored.id = now_known.id
  ),
  contents AS (
    INSERT INTO case_node_tasks (${list(CASE_NODE_TASK)})
    SELECT *
    FROM ${rows(CASE_NODE_TASK, 'content')}
    WHERE case_ref NOT IN (SELECT id FROM lost)
  ),
  deliveries AS (
    INSERT INTO notifications (${list(NOTIFICATION)}, position)
    SELECT *, pg_current_xact_id()::text::bigint + (SELECT ahead_by FROM feed_clock)
    FROM ${rows(NOTIFICATION, 'delivery')}
    WHERE case_ref NOT IN (SELECT id FROM lost) AND ${erasuresAreKnown(KNOWN_ERASURES)}
  ),
  named_workflows AS (
    INSERT INTO workflows AS stored (${list(WORKFLOW)})
    SELECT *
    FROM ${rows(WORKFLOW, 'named')}
    WHERE NOT EXISTS (
      SELECT FROM workflows same
      WHERE (same.workflow_id, same.workflow_name) = (named.workflow_id, named.workflow_name))
    ORDER BY workflow_id
    ON CONFLICT (workflow_id) DO UPDATE
    SET (workflow_name, named_at, named_by) = (excluded.workflow_name, excluded.named_at, excluded.named_by)
    WHERE (stored.named_at, stored.named_by) < (excluded.named_at, excluded.named_by)
    RETURNING workflow_id, xmax <> 0 AS is_renamed
  ),
  named_node_tasks AS (
    INSERT INTO node_tasks AS stored (${list(NODE_TASK)})
    SELECT *
    FROM ${rows(NODE_TASK, 'named')}
    WHERE NOT EXISTS (
      SELECT FROM node_tasks same
      WHERE (same.workflow_id, same.nodetask_id) = (named.workflow_id, named.nodetask_id)
        AND (same.nodetask_name, same.node_type) = (named.nodetask_name, named.node_type))
    ORDER BY workflow_id, nodetask_id
    ON CONFLICT (workflow_id, nodetask_id) DO UPDATE
    SET (nodetask_name, node_type, named_at, named_by)
      = (excluded.nodetask_name, excluded.node_type, excluded.named_at, excluded.named_by)
    WHERE (stored.named_at, stored.named_by) < (excluded.named_at, excluded.named_by)
    RETURNING workflow_id, xmax <> 0 AS is_renamed
  )
  SELECT id AS lost, NULL AS renamed, NULL AS transaction FROM lost
  UNION ALL
  SELECT DISTINCT NULL::uuid, workflow_id, pg_current_xact_id()::text
  FROM (SELECT * FROM named_workflows UNION ALL SELECT * FROM named_node_tasks) named
  WHERE is_renamed`,
};
