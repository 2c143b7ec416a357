import type { Statement } from '../../database/connection.js';
import { FEED_START, FEED_HORIZON, IS_FEED_EVENT } from '../../database/feed-position.sql.js';

/** The SQL of retention. Each step looks at so many rows, and says behind which one to go on. */
const BATCH_SIZE = 500;
const FEED_LOOKED_AT = 5_000;

/** An arbitrary constant that names retention among a database's advisory locks. */
const RETENTION_LOCK = 6_158_420_177;

export const ACQUIRE_LOCK: Statement = {
  name: 'retention_lock',
  text: `SELECT pg_try_advisory_lock(${RETENTION_LOCK}) AS is_mine`,
};
export const RELEASE_LOCK: Statement = {
  name: 'retention_unlock',
  text: `SELECT pg_advisory_unlock(${RETENTION_LOCK})`,
};

/** Up to where the feed is removed. */
export const READ_FEED_START: Statement = {
  name: 'retention_feed_start',
  text: FEED_START,
};

/**
 * Moves the beginning of the feed past events that are old, up to the first one that is not: what is removed is always all up
 * to a place, so that a reader behind it has missed nothing. Returns nothing once there is nothing to move past.
 *
 * Parameters: the beginning, a time. Reads ix_notifications_feed.
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
        LIMIT ${FEED_LOOKED_AT}) AS next) AS judged
    WHERE is_old
    ORDER BY position DESC, id DESC
    LIMIT 1) AS last_old
  RETURNING removed_position, removed_id`,
};

/** A place in the feed that is removed. */
const IS_REMOVED = `(position, id) <= ((SELECT removed_position FROM feed_clock), (SELECT removed_id FROM feed_clock))`;

/** What a step returns: behind which row to go on, null where there was none left to look at; and how many it removed. */
function outcome(scanned: string, removed: string): string {
  return `
  SELECT (SELECT id FROM ${scanned} ORDER BY id DESC LIMIT 1) AS last,
    (SELECT count(*) FROM ${removed})::integer AS removed`;
}

/** Parameters: an id; the first id that is too young; a time. Along pk_notifications: ids are in the order of receipt. */
const SCANNED_NOTIFICATIONS = `
  scanned AS MATERIALIZED (
    SELECT id, received_at, body IS NOT NULL AS has_body, NOT ${IS_FEED_EVENT} OR ${IS_REMOVED} AS may_go
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
    WHERE stored.id = scanned.id AND scanned.received_at < $3 AND may_go
    RETURNING 1)
  ${outcome('scanned', 'removed')}`,
};

/** Parameters: an id; the first id that is too young; a time. Along the primary key: ids are in the order of the first receipt. */
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
/** Bytes that came again lately stay; the triggers count what goes. */
export const REMOVE_REFUSED = removeById('quarantined_notifications', 'last_received_at');

/** Parameters: time and id of a case; a time. Along ix_cases_completed; an event that is not removed, by ix_notifications_case. */
export const SCAN_CASES: Statement = {
  name: 'retention_scan_cases',
  text: `
  SELECT scanned.id, completed_at, last_notified_at < $3 AND event.id IS NULL AS may_go
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

/** Parameters: ids; a time. A case that was notified again meanwhile stays, and so does one that somebody writes just now. */
export const LOCK_OLD_CASES: Statement = {
  name: 'retention_lock_cases',
  text: `
  SELECT id FROM cases
  WHERE id = ANY ($1::uuid[]) AND last_notified_at < $2
  ORDER BY workflow_id, case_id, callee_number
  FOR UPDATE SKIP LOCKED`,
};

/** When the oldest of each was received or completed. By the primary keys and ix_cases_completed. */
export const READ_OLDEST: Statement = {
  name: 'retention_oldest',
  text: `
  SELECT (SELECT received_at FROM notifications ORDER BY id LIMIT 1) AS notifications,
    (SELECT received_at FROM notifications WHERE id > $1::uuid AND body IS NOT NULL ORDER BY id LIMIT 1) AS bodies,
    (SELECT first_received_at FROM quarantined_notifications ORDER BY id LIMIT 1) AS quarantine,
    (SELECT completed_at FROM cases ORDER BY completed_at, id LIMIT 1) AS cases,
    (SELECT at FROM reveals ORDER BY id LIMIT 1) AS audit`,
};
