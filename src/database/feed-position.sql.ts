/** The condition of feed events on `notifications`, as in the partial index ix_notifications_feed. */
export const IS_FEED_EVENT = `(verdict IN ('first', 'changed') OR rewrites_past)`;

/**
 * The position below which the feed is complete: all transactions that could write there have ended. It is the position
 * of the oldest transaction that runs in the statement's own snapshot, without those of other databases of the server.
 * The snapshot of a standby lists no running transactions, but has the oldest one.
 */
export const FEED_HORIZON = `
  (SELECT ahead_by + coalesce(
    CASE WHEN pg_is_in_recovery() THEN pg_snapshot_xmin(pg_current_snapshot())::text::bigint END,
    (SELECT min(under_way::text::bigint) FROM pg_snapshot_xip(pg_current_snapshot()) AS under_way
     WHERE NOT EXISTS (
       SELECT FROM pg_stat_activity WHERE backend_xid = under_way::xid AND datname <> current_database())),
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
  FROM feed_clock)`;

/** The position of the last event that retention has removed. */
export const FEED_START = `SELECT removed_position, removed_id FROM feed_clock`;
