import type { Statement } from '../../database/connection.js';
import { FEED_START, FEED_HORIZON, IS_FEED_EVENT } from '../../database/feed-position.sql.js';

/** The rows that a step scans. Each step returns the row after which the next one continues. */
const BATCH_SIZE = 500;
const FEED_BATCH_SIZE = 5_000;

/** Names retention among the advisory locks of a database: an arbitrary constant. */
const RETENTION_LOCK = 6_158_420_177;

export const ACQUIRE_LOCK: Statement = {
  name: 'retention_lock',
  text: `SELECT pg_try_advisory_lock(${RETENTION_LOCK}) AS is_mine`,
};
export const RELEASE_LOCK: Statement = {
  name: 'retention_unlock',
  text: `SELECT pg_advisory_unlock(${RETENTION_LOCK})`,
};

/** The position of the last removed event of the feed. */
export const READ_FEED_START: Statement = {
  name: 'retention_feed_start',
  text: FEED_START,
};

/**
 * Moves the start of the feed past expired events, up to the first one that is not expired. All events before the start
 * are removed and none after it, so that a reader after the start misses none. Returns no row at the end.
 *
 * Parameters: position and id of the start, a time. Reads ix_notifications_feed.
 */
export const MOVE_FEED_START: Statement = {
  name: 'retention_move_feed_start',
  text: `
  UPDATE feed_clock SET (removed_position, removed_id) = (last_old.position, last_old.id)
  FROM (
    SELECT position, id
    FROM (
      SELECT position, id, bool_and(received_at < $3) OVER (ORDER BY position, id) AS is_old
      FROM (
        SELECT position, id, received_at FROM notifications
        WHERE (position, id) > ($1::bigint, $2::uuid) AND position < ${FEED_HORIZON} AND ${IS_FEED_EVENT}
        ORDER BY position, id
        LIMIT ${FEED_BATCH_SIZE}) AS next) AS judged
    WHERE is_old
    ORDER BY position DESC, id DESC
    LIMIT 1) AS last_old
  RETURNING removed_position, removed_id`,
};

/** The condition of events before the start of the feed. */
const IS_REMOVED = `(position, id) <= ((SELECT removed_position FROM feed_clock), (SELECT removed_id FROM feed_clock))`;

/** The result of a step: the last row scanned, null if none was left, and the number of removed rows. */
function outcome(scanned: string, removed: string): string {
  return `
  SELECT (SELECT id FROM ${scanned} ORDER BY id DESC LIMIT 1) AS last,
    (SELECT count(*) FROM ${removed})::integer AS removed`;
}

/**
 * Parameters: an id; the first id that is not expired; a time. Along pk_notifications: ids are in the order of receipt.
 */
const SCANNED_NOTIFICATIONS = `
  scanned AS MATERIALIZED (
    SELECT id, received_at, body IS NOT NULL AS has_body, NOT ${IS_FEED_EVENT} OR ${IS_REMOVED} AS is_removable
    FROM (SELECT * FROM notifications WHERE id > $1::uuid ORDER BY id LIMIT ${BATCH_SIZE}) AS next
    WHERE id < $2::uuid)`;

export const REMOVE_BODIES: Statement = {
  name: 'retention_bodies',
  text: `
  WITH ${SCANNED_NOTIFICATIONS},
  removed AS (
    UPDATE notifications AS stored SET body = NULL
    FROM scanned
    WHERE stored.id = scanned.id AND scanned.received_at < $3 AND has_body
    RETURNING 1)
  ${outcome('scanned', 'removed')}`,
};

export const REMOVE_NOTIFICATIONS: Statement = {
  name: 'retention_notifications',
  text: `
  WITH ${SCANNED_NOTIFICATIONS},
  removed AS (
    DELETE FROM notifications AS stored
    USING scanned
    WHERE stored.id = scanned.id AND scanned.received_at < $3 AND is_removable
    RETURNING 1)
  ${outcome('scanned', 'removed')}`,
};

/**
 * Parameters: an id; the first id that is not expired; a time. Along the primary key, in the order of the first
 * receipt.
 */
function removeById(table: string, time: string): Statement {
  return {
    name: `retention_${table}`,
    text: `
  WITH scanned AS MATERIALIZED (
    SELECT id FROM (SELECT id FROM ${table} WHERE id > $1::uuid ORDER BY id LIMIT ${BATCH_SIZE}) AS next
    WHERE id < $2::uuid),
  removed AS (
    DELETE FROM ${table}
    WHERE id = ANY (ARRAY (SELECT id FROM scanned)) AND ${time} < $3
    RETURNING 1)
  ${outcome('scanned', 'removed')}`,
  };
}

export const REMOVE_REVEALS = removeById('reveals', 'at');
/** Bodies that were received again recently stay. Triggers update the usage. */
export const REMOVE_QUARANTINED = removeById('quarantined_notifications', 'last_received_at');

/**
 * Parameters: time and id of a case; a time. Along ix_cases_completed; events that are not removed by
 * ix_notifications_case.
 */
export const SCAN_CASES: Statement = {
  name: 'retention_scan_cases',
  text: `
  SELECT scanned.id, completed_at, last_notified_at < $3 AND event.id IS NULL AS is_removable
  FROM (
    SELECT id, completed_at, last_notified_at FROM cases
    WHERE (completed_at, id) > ($1::timestamptz, $2::uuid)
    ORDER BY completed_at, id
    LIMIT ${BATCH_SIZE}) AS scanned
  LEFT JOIN LATERAL (
    SELECT id FROM notifications
    WHERE case_ref = scanned.id AND ${IS_FEED_EVENT} AND NOT ${IS_REMOVED}
    LIMIT 1) AS event ON true
  WHERE completed_at < $3
  ORDER BY completed_at, scanned.id`,
};

/** Parameters: ids; a time. Skips cases that were notified again since the scan, or that a writer has locked. */
export const LOCK_OLD_CASES: Statement = {
  name: 'retention_lock_cases',
  text: `
  SELECT id FROM cases
  WHERE id = ANY ($1::uuid[]) AND last_notified_at < $2
  ORDER BY workflow_id, case_id, callee_number
  FOR UPDATE SKIP LOCKED`,
};

/** The time of the oldest row of each kind. By the primary keys and ix_cases_completed. */
export const READ_OLDEST: Statement = {
  name: 'retention_oldest',
  text: `
  SELECT (SELECT received_at FROM notifications ORDER BY id LIMIT 1) AS notifications,
    (SELECT received_at FROM notifications WHERE id > $1::uuid AND body IS NOT NULL ORDER BY id LIMIT 1) AS bodies,
    (SELECT first_received_at FROM quarantined_notifications ORDER BY id LIMIT 1) AS quarantine,
    (SELECT completed_at FROM cases ORDER BY completed_at, id LIMIT 1) AS cases,
    (SELECT at FROM reveals ORDER BY id LIMIT 1) AS audit`,
};
