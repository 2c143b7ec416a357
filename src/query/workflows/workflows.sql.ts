import { limitByBytes } from '../cases/byte-limit.sql.js';

/**
 * As many as fit into an answer, for a name may be nearly as long as a body. PostgreSQL knows how long a name is without
 * reading it.
 */
const page = (rows: string, name: string, order: string): string =>
  `${limitByBytes(rows, `octet_length(${name})`, order)} ORDER BY ${order}`;

/**
 * Ranks workflows by their newest notification up to a moment, read from ix_notifications_workflow; where all were removed for
 * their age, by their newest case, from ix_cases_workflow. The later pages of a
 * list keep the moment of its first page: what arrives meanwhile cannot move a workflow past the reader.
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

/** Counts in ix_notifications_workflow and ix_cases_workflow. A workflow whose cases were all removed is not told any more. */
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
 * Pages along pk_node_tasks; counts in ix_case_node_tasks_nodetask. An id that only one workflow has (ix_node_tasks_nodetask), as is
 * the provider's way, is counted in the index alone; else each entry's row says whose it is.
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
