import { FEED_HORIZON, IS_FEED_EVENT } from '../../database/feed-position.sql.js';

/** Above this number the events of one poll are not announced one by one. */
export const MAX_COMMITTED_EVENTS = 20_000;

/**
 * Reads the events that were committed between two snapshots, from ix_notifications_feed: those of transactions that
 * started after the first snapshot, or were running at it.
 *
 * Parameters: the first position not assigned at the first snapshot, the positions of the transactions running at it.
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

/** If there are no events, one row has the snapshot alone. The driver returns 64-bit numbers as text. */
export type CommittedEventRow = { snapshot: string; ahead_by: string; horizon: string; position: string | null } & (
  Omit<CommittedEvent, 'position'> | { [column in keyof Omit<CommittedEvent, 'position'>]: null }
);

/** A committed notification that completed or changed a case. */
export interface CommittedEvent {
  readonly position: number;
  readonly notification_id: string;
  readonly workflow_id: string;
  readonly case_id: string;
  readonly callee_number: string;
}

/** Leaves out events whose case was removed. */
export function toCommittedEvents(rows: readonly CommittedEventRow[]): CommittedEvent[] {
  return rows.flatMap((row) =>
    row.position !== null && row.case_id !== null ? [{ ...row, position: Number(row.position) }] : [],
  );
}

/** A snapshot of PostgreSQL in positions of the feed: the next poll reads from here. */
export interface SnapshotPosition {
  /** The feed is complete below this position. */
  readonly horizon: number;
  readonly next: number;
  readonly running: readonly number[];
}

/** The text of a snapshot is `xmin:xmax:xip,…`: the oldest running transaction, the next one, and all running ones. */
export function toSnapshotPosition({ snapshot, ahead_by, horizon }: CommittedEventRow): SnapshotPosition {
  const [, xmax, xips] = snapshot.split(':');
  const toPosition = (transaction: string | undefined): number => Number(transaction) + Number(ahead_by);
  return {
    horizon: Number(horizon),
    next: toPosition(xmax),
    running: (xips ?? '').split(',').filter(Boolean).map(toPosition),
  };
}
