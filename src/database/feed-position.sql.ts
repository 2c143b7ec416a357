/**
 * A condition on `notifications`: what the change feed tells. As the partial index ix_notifications_feed has it.
 */
export const IS_FEED_EVENT = `(verdict IN ('first', 'changed') OR rewrites_past)`;

/**
 * The position below which the feed is complete: all transactions that could write there have ended, so nothing can appear there any
 * more. It is that of the oldest transaction that the statement's own snapshot has under way, but for those that are known to
 * be in other databases of the server. (A standby's snapshot names none, but has the oldest.)
 */
export const FEED_HORIZON = `
  (SELECT ahead_by + coalesce(
    CASE WHEN pg_is_in_recovery() THEN pg_snapshot_xmin(pg_current_snapshot())::text::bigint END,
    (SELECT min(under_way::text::bigint) FROM pg_snapshot_xip(pg_current_snapshot()) AS under_way
     WHERE NOT EXISTS (
       SELECT FROM pg_stat_activity WHERE backend_xid = under_way::xid AND datname <> current_database())),
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
  FROM feed_clock)`;

/** Up to where events were removed for their age. */
export const FEED_START = `SELECT removed_position, removed_id FROM feed_clock`;
