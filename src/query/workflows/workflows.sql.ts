import { limitByBytes } from '../cases/byte-limit.sql.js';

/**
 * Limits rows to the size of a response, because a name may be nearly as long as a body. The size is read without it.
 */
const page = (rows: string, name: string, order: string): string =>
  `${limitByBytes(rows, `octet_length(${name})`, order)} ORDER BY ${order}`;

/**
 * Ranks workflows by their newest notification up to a time, from ix_notifications_workflow. If retention has removed
 * all notifications of a workflow, it ranks by its newest case, from ix_cases_workflow. Later pages of a list keep the
 * time of the first page, so that new notifications cannot move a workflow to a page that was read.
 */
export const LIST_WORKFLOWS = page(
  `SELECT w.workflow_id, w.workflow_name, n.received_at AS last_notified_at
  FROM workflows w
  CROSS JOIN LATERAL (
    SELECT coalesce(
      (SELECT received_at FROM notifications
       WHERE workflow_id = w.workflow_id AND received_at <= $1
       ORDER BY received_at DESC, id DESC
       LIMIT 1),
      (SELECT completed_at FROM cases
       WHERE workflow_id = w.workflow_id AND completed_at <= $1
       ORDER BY completed_at DESC, id DESC
       LIMIT 1)) AS received_at) AS n
  WHERE (n.received_at, w.workflow_id) < ($2, $3)
  ORDER BY n.received_at DESC, w.workflow_id DESC
  LIMIT $4`,
  'workflow_name',
  'last_notified_at DESC, workflow_id DESC',
);

/** Counts in ix_notifications_workflow and ix_cases_workflow. Leaves out a workflow whose cases were all removed. */
export const GET_WORKFLOW = `
  SELECT w.workflow_id, w.workflow_name, n.notification_count, coalesce(n.last_notified_at, c.last_completed_at) AS last_notified_at, c.*
  FROM workflows w
  CROSS JOIN LATERAL (
    SELECT count(*) AS notification_count, max(received_at) AS last_notified_at
    FROM notifications WHERE workflow_id = w.workflow_id) AS n
  CROSS JOIN LATERAL (
    SELECT count(*) AS case_count, min(completed_at) AS first_completed_at, max(completed_at) AS last_completed_at
    FROM cases WHERE workflow_id = w.workflow_id) AS c
  WHERE w.workflow_id = $1 AND c.case_count > 0`;

/**
 * Pages along pk_node_tasks; counts in ix_case_node_tasks_nodetask. The provider uses a node task id in one workflow
 * only (ix_node_tasks_nodetask): such an id is counted in the index alone. Otherwise the rows name the workflow of each
 * entry.
 */
export const LIST_NODE_TASKS = page(
  `SELECT n.nodetask_id, n.nodetask_name, n.node_type,
    CASE WHEN (SELECT count(*) FROM node_tasks other WHERE other.nodetask_id = n.nodetask_id) = 1
      THEN (SELECT count(DISTINCT s.case_ref) FROM case_node_tasks s WHERE s.nodetask_id = n.nodetask_id)
      ELSE (SELECT count(DISTINCT s.case_ref) FROM case_node_tasks s
            WHERE s.nodetask_id = n.nodetask_id AND s.workflow_id = n.workflow_id)
    END AS case_count
  FROM node_tasks n
  WHERE n.workflow_id = $1 AND n.nodetask_id > $2
  ORDER BY n.nodetask_id
  LIMIT $3`,
  'nodetask_name',
  'nodetask_id',
);

export const WORKFLOW_EXISTS = `SELECT FROM workflows WHERE workflow_id = $1`;
