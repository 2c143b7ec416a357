/** Writes one notification with the workflow, the node tasks and the case that it names. */
export const WRITE_ONE = `
  WITH named_workflow AS (
    INSERT INTO workflows (workflow_id, workflow_name, named_at, named_by)
    SELECT $1::text, $2::text, $11::timestamptz, $9::uuid
    WHERE NOT EXISTS (SELECT FROM workflows WHERE workflow_id = $1 AND workflow_name = $2)
    ON CONFLICT (workflow_id) DO UPDATE
    SET (workflow_name, named_at, named_by) = (excluded.workflow_name, excluded.named_at, excluded.named_by)
  ),
  named AS (
    SELECT * FROM unnest($5::text[], $6::text[], $7::text[], $8::text[]) WITH ORDINALITY
      AS row (nodetask_id, nodetask_name, node_type, task_id, position)
  ),
  named_node_tasks AS (
    INSERT INTO node_tasks (workflow_id, nodetask_id, nodetask_name, node_type, named_at, named_by)
    SELECT DISTINCT ON (nodetask_id) $1, nodetask_id, nodetask_name, node_type, $11, $9
    FROM named
    WHERE NOT EXISTS (
      SELECT FROM node_tasks stored
      WHERE (stored.workflow_id, stored.nodetask_id) = ($1, named.nodetask_id)
        AND (stored.nodetask_name, stored.node_type) = (named.nodetask_name, named.node_type))
    ORDER BY nodetask_id
    ON CONFLICT (workflow_id, nodetask_id) DO UPDATE
    SET (nodetask_name, node_type, named_at, named_by)
      = (excluded.nodetask_name, excluded.node_type, excluded.named_at, excluded.named_by)
  ),
  one_case AS (
    INSERT INTO cases AS stored (id, workflow_id, case_id, callee_number, completed_at, last_notified_at,
      notification_count, revision, current_notification_id, content_digest)
    VALUES ($10::uuid, $1, $3::text, $4::text, $11, $11, 1, 1, $9, $12::bytea)
    ON CONFLICT (workflow_id, case_id, callee_number) DO UPDATE
    SET last_notified_at = excluded.last_notified_at,
      notification_count = stored.notification_count + 1,
      current_notification_id = excluded.current_notification_id
    RETURNING id, notification_count
  ),
  contents AS (
    INSERT INTO case_node_tasks (case_ref, position, workflow_id, nodetask_id, node_type, task_id, completed_at)
    SELECT one_case.id, named.position - 1, $1, named.nodetask_id, named.node_type, named.task_id, $11
    FROM one_case, named
    WHERE one_case.notification_count = 1
  )
  INSERT INTO notifications (id, kind, received_at, verdict, workflow_id, case_ref, content_digest, body)
  SELECT $9, 'workflow-list-completion', $11, CASE WHEN notification_count = 1 THEN 'first' ELSE 'repeat' END, $1, id,
    $12, $13::bytea
  FROM one_case`;
