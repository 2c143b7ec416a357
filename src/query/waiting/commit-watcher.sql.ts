import { FEED_HORIZON, IS_FEED_EVENT } from '../../database/feed-position.sql.js';

/** More than that at once are not told one by one: all who wait look for themselves. */
export const MAX_COMMITTED_EVENTS = 20_000;

/**
 * What has been committed between two snapshots: written by transactions that were not begun at the first one, or were under
 * way. Reads ix_notifications_feed. Parameters: the first position not given out at the first snapshot, those under way.
 */
export const READ_COMMITTED_EVENTS = `
  SELECT pg_current_snapshot()::text AS snapshot, clock.ahead_by, ${FEED_HORIZON} AS horizon, arrived.*
  FROM feed_clock clock
  LEFT JOIN (
    SELECT n.position, n.id AS notification_id, c.*
    FROM (
      (SELECT position, id, case_ref FROM notifications
       WHERE position >= $1 AND ${IS_FEED_EVENT}
       ORDER BY position, id LIMIT ${MAX_COMMITTED_EVENTS + 1})
      UNION ALL
      (SELECT position, id, case_ref FROM notifications
       WHERE position = ANY ($2::bigint[]) AND ${IS_FEED_EVENT}
       ORDER BY position, id LIMIT ${MAX_COMMITTED_EVENTS + 1})) AS n
    LEFT JOIN LATERAL (
      SELECT workflow_id, case_id, callee_number FROM cases WHERE id = n.case_ref OFFSET 0) AS c ON true)
    AS arrived ON true`;

/** Where nothing arrived, one row has the snapshot and nothing else. PostgreSQL's 64 bits come as text. */
export type CommittedEventRow = { snapshot: string; ahead_by: string; horizon: string; position: string | null } & (
  Omit<CommittedEvent, 'position'> | { [column in keyof Omit<CommittedEvent, 'position'>]: null }
);

/** A case that was completed, or changed, by a commit just seen. */
export interface CommittedEvent {
  readonly position: number;
  readonly notification_id: string;
  readonly workflow_id: string;
  readonly case_id: string;
  readonly callee_number: string;
}

/** But for those whose case is gone. */
export function toCommittedEvents(rows: readonly CommittedEventRow[]): CommittedEvent[] {
  return rows.flatMap((row) =>
    row.position !== null && row.case_id !== null ? [{ ...row, position: Number(row.position) }] : [],
  );
}

/** Where the next tick goes on, as positions in the feed. */
export interface SnapshotPosition {
  /** Below it the feed is complete. */
  readonly horizon: number;
  readonly next: number;
  readonly underWay: readonly number[];
}

/** A snapshot's text is `xmin:xmax:xip,…`: the oldest transaction under way, the next one, and all under way. */
export function toSnapshotPosition({ snapshot, ahead_by, horizon }: CommittedEventRow): SnapshotPosition {
  const [, xmax, xips] = snapshot.split(':');
  const toPosition = (transaction: string | undefined): number => Number(transaction) + Number(ahead_by);
  return {
    horizon: Number(horizon),
    next: toPosition(xmax),
    underWay: (xips ?? '').split(',').filter(Boolean).map(toPosition),
  };
}
