import { FEED_HORIZON, FEED_START, IS_FEED_EVENT } from '../../database/feed-position.sql.js';
import { limitCasesByBytes, selectCases } from '../cases/cases.sql.js';

/** A page of the feed of one workflow scans at most this many events of all workflows. */
export const MAX_SCANNED = 20_000;

/**
 * The events after a position with their cases, up to the size of a response, and the last position scanned. Scans
 * ix_notifications_feed, which includes the workflow; reads the events by pk_notifications. If there is no event, one
 * row has the positions alone. Each row has the position of the last event removed by retention, of the same snapshot.
 *
 * Parameters: position and notification id, number of entries to scan, number of events, a workflow or null.
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
  SELECT counted.*, last_scanned.*, removed.*, page.*
  FROM (SELECT count(*)::integer AS scanned FROM scanned) AS counted
  CROSS JOIN (${FEED_START}) AS removed
  LEFT JOIN (SELECT position AS last_position, id AS last_id FROM scanned ORDER BY position DESC, id DESC LIMIT 1)
    AS last_scanned ON true
  LEFT JOIN (${limitCasesByBytes(
    `SELECT events.position, events.notification_id, events.received_at, events.verdict, whole.*
    FROM events
    LEFT JOIN (${selectCases('SELECT DISTINCT case_ref AS id FROM events')}) AS whole ON whole.id = events.case_ref`,
    'position, notification_id',
  )}) AS page ON true
  ORDER BY page.position, page.notification_id`;

/** The last event of the feed. Reads ix_notifications_feed from its end. */
export const READ_END = `
  SELECT removed.*, newest.*
  FROM (${FEED_START}) AS removed
  LEFT JOIN (
    SELECT position, id AS notification_id FROM notifications
    WHERE position < ${FEED_HORIZON} AND ${IS_FEED_EVENT}
    ORDER BY position DESC, id DESC
    LIMIT 1) AS newest ON true`;
