import { FEED_HORIZON, FEED_START, IS_FEED_EVENT } from '../../database/feed-position.sql.js';
import { limitCasesByBytes, selectCases } from '../cases/cases.sql.js';

/** Of a workflow's feed so many events of all workflows are looked through for one page. */
export const MAX_SCANNED = 20_000;

/**
 * The events behind a place, each with its case, as many as fit into an answer, and how far was looked. Scans ix_notifications_feed, which has the
 * workflows too; events come by pk_notifications. One row with a place and no event where there is none.
 * Each row has the place of the last event that was removed for its age, seen at the same moment.
 *
 * Parameters: position and id of the place, how many entries to look through, how many events, a workflow or null.
 */
export const READ_COMPLETIONS = `
  WITH scanned AS MATERIALIZED (
    SELECT * FROM (
      SELECT position, id, workflow_id FROM notifications
      WHERE (position, id) > ($1::bigint, $2::uuid) AND position < ${FEED_HORIZON} AND ${IS_FEED_EVENT}
      ORDER BY position, id
      LIMIT ${MAX_SCANNED}) AS nearest
    ORDER BY position, id
    LIMIT $3
  ),
  events AS MATERIALIZED (
    SELECT n.position, n.id AS notification_id, n.received_at, n.verdict, n.case_ref
    FROM notifications n
    WHERE n.id = ANY (ARRAY (
      SELECT id FROM scanned WHERE $5::text IS NULL OR workflow_id = $5 ORDER BY position, id LIMIT $4))
  )
  SELECT counted.*, looked.*, removed.*, told.*
  FROM (SELECT count(*)::integer AS scanned FROM scanned) AS counted
  CROSS JOIN (${FEED_START}) AS removed
  LEFT JOIN (SELECT position AS last_position, id AS last_id FROM scanned ORDER BY position DESC, id DESC LIMIT 1)
    AS looked ON true
  LEFT JOIN (${limitCasesByBytes(
    `SELECT events.position, events.notification_id, events.received_at, events.verdict, whole.*
    FROM events
    LEFT JOIN (${selectCases('SELECT DISTINCT case_ref AS id FROM events')}) AS whole ON whole.id = events.case_ref`,
    'position, notification_id',
  )}) AS told ON true
  ORDER BY told.position, told.notification_id`;

/** The end of the feed. Reads ix_notifications_feed from its end. */
export const READ_END = `
  SELECT removed.*, newest.*
  FROM (${FEED_START}) AS removed
  LEFT JOIN (
    SELECT position, id AS notification_id FROM notifications
    WHERE position < ${FEED_HORIZON} AND ${IS_FEED_EVENT}
    ORDER BY position DESC, id DESC
    LIMIT 1) AS newest ON true`;
