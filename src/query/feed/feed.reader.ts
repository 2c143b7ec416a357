import { Injectable } from '@nestjs/common';
import type { CaseRow } from '../cases/case.dto.js';
import type { CompletionRow } from './feed.dto.js';
import { Problem } from '../../http/problem/problem.js';
import { FEED_START } from '../../database/feed-position.sql.js';
import { MAX_SCANNED, READ_COMPLETIONS, READ_END } from './feed.sql.js';
import { QueryRouter, type Target } from '../../database/query-router.js';

/** A position in the feed: after the event with this position and notification id. */
export type FeedPosition = readonly [position: number, notificationId: string];

interface RemovedRow {
  removed_position: string;
  removed_id: string;
}

type Row = RemovedRow & {
  scanned: number;
  last_position: string | null;
  last_id: string | null;
  total_rows: string | null;
} & (Event | { [column in keyof Event]: null });
/** The case of an event may have been removed. */
type Event = Omit<CompletionRow, keyof CaseRow> & (CaseRow | { [column in keyof CaseRow]: null });

/** The events of the feed after a position. */
export interface FeedPage {
  readonly rows: readonly CompletionRow[];
  /** The position after the last event scanned. */
  readonly end: FeedPosition;
  readonly isAll: boolean;
}

/**
 * Reads the change feed: the events in an order that never changes. No event is inserted before one that was read
 * (docs/decisions/0009-change-feed.md).
 */
@Injectable()
export class FeedReader {
  readonly #reads = new Map<string, Promise<FeedPage>>();

  constructor(private readonly queries: QueryRouter) {}

  /**
   * Equal reads within one turn of the event loop share one statement, because a commit wakes all clients at the end of
   * the feed. A later read has its own statement: a running one may not see the commit that caused the read.
   */
  async read(after: FeedPosition, workflowId: string | undefined, limit: number, target: Target): Promise<FeedPage> {
    const key = JSON.stringify([after, workflowId, limit, target]);
    const shared = this.#reads.get(key);
    if (shared) return shared;
    const page = this.readPage(after, workflowId, limit, target);
    this.#reads.set(key, page);
    setImmediate(() => this.#reads.delete(key));
    return page;
  }

  /** The start of the feed: before the oldest event that retention has left. */
  async readStart(target: Target): Promise<FeedPosition> {
    const [row] = await this.queries.queryOn<RemovedRow>(target, FEED_START, []);
    return removedPosition(row as RemovedRow);
  }

  /** The end of the feed, after its newest event. */
  async readEnd(): Promise<FeedPosition> {
    type End = RemovedRow & { position: string | null; notification_id: string | null };
    const [row] = await this.queries.queryPrimary<End>(READ_END, []);
    const { position, notification_id } = row as End;
    const removed = removedPosition(row as End);
    if (position === null || notification_id === null) return removed;
    const last: FeedPosition = [Number(position), notification_id];
    return isBefore(last, removed) ? removed : last;
  }

  private async readPage(
    after: FeedPosition,
    workflowId: string | undefined,
    limit: number,
    target: Target,
  ): Promise<FeedPage> {
    const maxScanned = workflowId === undefined ? limit + 1 : MAX_SCANNED;
    const parameters = [...after, maxScanned, limit + 1, workflowId ?? null];
    const scannedRows = await this.queries.queryOn<Row>(target, READ_COMPLETIONS, parameters);
    const [first] = scannedRows as [Row];
    if (isBefore(after, removedPosition(first))) throw expired();
    const { scanned, last_position, last_id } = first;
    const events = scannedRows.filter((row): row is Row & Event => row.position !== null);
    const shown = events.slice(0, limit);
    const rows = shown.filter((event): event is Row & CompletionRow => event.id !== null);
    const last = shown.at(-1);
    if (last && Number(last.total_rows) > shown.length) return { rows, end: feedPositionOf(last), isAll: false };
    const end: FeedPosition = last_position !== null && last_id !== null ? [Number(last_position), last_id] : after;
    return { rows, end, isAll: scanned < maxScanned };
  }
}

/** Compares positions as PostgreSQL does. */
export function isBefore([position, id]: FeedPosition, [other, otherId]: FeedPosition): boolean {
  return position < other || (position === other && id < otherId);
}

function removedPosition({ removed_position, removed_id }: RemovedRow): FeedPosition {
  return [Number(removed_position), removed_id];
}

function expired(): Problem {
  return new Problem(
    'cursor_expired',
    'Retention has removed events after this cursor. Take a cursor with from=now, copy the cases again by GET /v1/cases ' +
      'or its export, then follow the feed from that cursor.',
  );
}

export function feedPositionOf({
  position,
  notification_id,
}: Pick<CompletionRow, 'position' | 'notification_id'>): FeedPosition {
  return [Number(position), notification_id];
}
