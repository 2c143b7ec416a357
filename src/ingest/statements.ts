/** The SQL of the way in. Arrays, one per column, carry any number of rows with one constant text. */

/** Parameters: workflow ids, case ids, callee numbers. In key order, so that two writers never wait for each other in a ring. */
export const LOCK_CASES = `
  SELECT stored.*
  FROM unnest($1::text[], $2::text[], $3::text[]) AS asked (workflow_id, case_id, callee_number)
  JOIN cases stored USING (workflow_id, case_id, callee_number)
  ORDER BY stored.workflow_id, stored.case_id, stored.callee_number
  FOR UPDATE OF stored`;

/** Parameter: case refs. Reads ix_notifications_case. */
export const READ_HISTORIES = `
  SELECT case_ref, id, received_at, content_digest
  FROM notifications
  WHERE case_ref = ANY ($1::uuid[])
  ORDER BY case_ref, received_at, id`;

/** Parameter: case refs. */
export const DELETE_CONTENTS = `DELETE FROM case_node_tasks WHERE case_ref = ANY ($1::uuid[])`;

/** Parameters: case refs, times of completion. */
export const MOVE_CONTENTS = `
  UPDATE case_node_tasks AS stored
  SET completed_at = moved.completed_at
  FROM unnest($1::uuid[], $2::timestamptz[]) AS moved (case_ref, completed_at)
  WHERE stored.case_ref = moved.case_ref`;

const NAMED = ['named_at', 'named_by'] as const;
const STATE = [
  'completed_at',
  'last_notified_at',
  'notification_count',
  'revision',
  'current_notification_id',
  'content_digest',
] as const;

/** The parameters of `WRITE_BATCH` are the columns of these tables, one after the other. */
export const WORKFLOW_COLUMNS = ['workflow_id', 'workflow_name', ...NAMED] as const;
export const NODE_TASK_COLUMNS = ['workflow_id', 'nodetask_id', 'nodetask_name', 'node_type', ...NAMED] as const;
export const NEW_CASE_COLUMNS = ['id', 'workflow_id', 'case_id', 'callee_number', ...STATE] as const;
export const KNOWN_CASE_COLUMNS = ['id', ...STATE] as const;
export const CASE_NODE_TASK_COLUMNS = [
  'case_ref',
  'position',
  'workflow_id',
  'nodetask_id',
  'node_type',
  'task_id',
  'completed_at',
] as const;
export const NOTIFICATION_COLUMNS = [
  'id',
  'kind',
  'received_at',
  'verdict',
  'workflow_id',
  'case_ref',
  'content_digest',
  'body',
] as const;

/**
 * Writes a batch.
 *
 * Workflows and node tasks are named by every notification: where nothing about them changes they are neither written
 * nor locked. Where a name differs, the newer delivery wins.
 *
 * Returns the ids of the notifications written: all of them, or none if another transaction made one of the new cases
 * meanwhile. That is asked for rather than run into: PostgreSQL logs a violated constraint with the number in it.
 */
export const WRITE_BATCH = `
  WITH named_workflows AS (
    INSERT INTO workflows AS stored (workflow_id, workflow_name, named_at, named_by)
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::uuid[])
      AS named (workflow_id, workflow_name, named_at, named_by)
    WHERE NOT EXISTS (
      SELECT FROM workflows same
      WHERE (same.workflow_id, same.workflow_name) = (named.workflow_id, named.workflow_name))
    ORDER BY workflow_id
    ON CONFLICT (workflow_id) DO UPDATE
    SET (workflow_name, named_at, named_by) = (excluded.workflow_name, excluded.named_at, excluded.named_by)
    WHERE (stored.named_at, stored.named_by) < (excluded.named_at, excluded.named_by)
  ),
  named_node_tasks AS (
    INSERT INTO node_tasks AS stored (workflow_id, nodetask_id, nodetask_name, node_type, named_at, named_by)
    SELECT *
    FROM unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[], $10::uuid[])
      AS named (workflow_id, nodetask_id, nodetask_name, node_type, named_at, named_by)
    WHERE NOT EXISTS (
      SELECT FROM node_tasks same
      WHERE (same.workflow_id, same.nodetask_id) = (named.workflow_id, named.nodetask_id)
        AND (same.nodetask_name, same.node_type) = (named.nodetask_name, named.node_type))
    ORDER BY workflow_id, nodetask_id
    ON CONFLICT (workflow_id, nodetask_id) DO UPDATE
    SET (nodetask_name, node_type, named_at, named_by)
      = (excluded.nodetask_name, excluded.node_type, excluded.named_at, excluded.named_by)
    WHERE (stored.named_at, stored.named_by) < (excluded.named_at, excluded.named_by)
  ),
  new_cases AS (
    INSERT INTO cases (id, workflow_id, case_id, callee_number, completed_at, last_notified_at, notification_count,
      revision, current_notification_id, content_digest)
    SELECT *
    FROM unnest($11::uuid[], $12::text[], $13::text[], $14::text[], $15::timestamptz[], $16::timestamptz[],
      $17::integer[], $18::integer[], $19::uuid[], $20::bytea[])
      AS made (id, workflow_id, case_id, callee_number)
    ORDER BY workflow_id, case_id, callee_number
    ON CONFLICT ON CONSTRAINT uq_cases_identity DO NOTHING
    RETURNING id
  ),
  known_cases AS (
    UPDATE cases AS stored
    SET completed_at = now_known.completed_at,
      last_notified_at = now_known.last_notified_at,
      notification_count = now_known.notification_count,
      revision = now_known.revision,
      current_notification_id = now_known.current_notification_id,
      content_digest = now_known.content_digest
    FROM unnest($21::uuid[], $22::timestamptz[], $23::timestamptz[], $24::integer[], $25::integer[], $26::uuid[],
      $27::bytea[])
      AS now_known (id, completed_at, last_notified_at, notification_count, revision, current_notification_id,
        content_digest)
    WHERE stored.id = now_known.id
  ),
  contents AS (
    INSERT INTO case_node_tasks (case_ref, position, workflow_id, nodetask_id, node_type, task_id, completed_at)
    SELECT * FROM unnest($28::uuid[], $29::integer[], $30::text[], $31::text[], $32::text[], $33::text[],
      $34::timestamptz[])
    WHERE (SELECT count(*) FROM new_cases) = cardinality($11)
  )
  INSERT INTO notifications (id, kind, received_at, verdict, workflow_id, case_ref, content_digest, body)
  SELECT * FROM unnest($35::uuid[], $36::text[], $37::timestamptz[], $38::text[], $39::text[], $40::uuid[],
    $41::bytea[], $42::bytea[])
  WHERE (SELECT count(*) FROM new_cases) = cardinality($11)
  RETURNING id`;

/** Parameters: the columns in the order named. Equal bytes refused for the same reason are counted. */
export const QUARANTINE = `
  INSERT INTO quarantined_notifications AS stored
    (id, kind, reason, errors, body, body_digest, count, first_received_at, last_received_at,
     workflow_id, case_id, callee_number)
  VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $7, $8, $9, $10)
  ON CONFLICT (kind, reason, body_digest) DO UPDATE
  SET count = stored.count + 1,
    first_received_at = least(stored.first_received_at, excluded.first_received_at),
    last_received_at = greatest(stored.last_received_at, excluded.last_received_at)
  RETURNING id`;
