import { Injectable } from '@nestjs/common';
import type { CaseRow } from '../cases/case.dto.js';
import type { CompletionRow } from './feed.dto.js';
import { Problem } from '../../http/problem/problem.js';
import { FEED_START } from '../../database/feed-position.sql.js';
import { MAX_SCANNED, READ_COMPLETIONS, READ_END } from './feed.sql.js';
import { QueryRouter, type Target } from '../../database/query-router.js';

/** A place in the feed: behind the event with this position and notification id. */
export type FeedPosition = readonly [position: number, notificationId: string];

interface RemovedRow {
  removed_position: string;
  removed_id: string;
}

type Row = RemovedRow & {
  scanned: number;
  last_position: string | null;
  last_id: string | null;
  found: string | null;
} & (Event | { [column in keyof Event]: null });
/** The case of an event may be gone. */
type Event = Omit<CompletionRow, keyof CaseRow> & (CaseRow | { [column in keyof CaseRow]: null });

/** What the feed has behind a place. */
export interface FeedPage {
  readonly rows: readonly CompletionRow[];
  /** How far was looked. */
  readonly end: FeedPosition;
  readonly isAll: boolean;
}

/**
 * Reads the change feed: the one order of what is committed that never changes, and into whose past nothing is put
 * (docs/decisions/0009-change-feed.md).
 */
@Injectable()
export class FeedReader {
  readonly #askedNow = new Map<string, Promise<FeedPage>>();

  constructor(private readonly queries: QueryRouter) {}

  /**
   * Those who ask the same within one turn of the event loop share one statement: that is how all wake who have waited at the
   * end. Not longer: a statement under way may not see what has woken somebody since.
   */
  async read(after: FeedPosition, workflowId: string | undefined, limit: number, where: Target): Promise<FeedPage> {
    const question = JSON.stringify([after, workflowId, limit, where]);
    const asked = this.#askedNow.get(question);
    if (asked) return asked;
    const reading = this.readStretch(after, workflowId, limit, where);
    this.#askedNow.set(question, reading);
    setImmediate(() => this.#askedNow.delete(question));
    return reading;
  }

  /** The beginning of the feed: before the oldest event that is not removed for its age. */
  async readStart(where: Target): Promise<FeedPosition> {
    const [row] = await this.queries.queryOn<RemovedRow>(where, FEED_START, []);
    return removedPlace(row as RemovedRow);
  }

  /** The end of the feed: what is behind it is told from now on. */
  async readEnd(): Promise<FeedPosition> {
    type End = RemovedRow & { position: string | null; notification_id: string | null };
    const [row] = await this.queries.queryPrimary<End>(READ_END, []);
    const { position, notification_id } = row as End;
    const removed = removedPlace(row as End);
    if (position === null || notification_id === null) return removed;
    const last: FeedPosition = [Number(position), notification_id];
    return isBefore(last, removed) ? removed : last;
  }

  private async readStretch(
    after: FeedPosition,
    workflowId: string | undefined,
    limit: number,
    where: Target,
  ): Promise<FeedPage> {
    const maxScanned = workflowId === undefined ? limit + 1 : MAX_SCANNED;
    const parameters = [...after, maxScanned, limit + 1, workflowId ?? null];
    const found = await this.queries.queryOn<Row>(where, READ_COMPLETIONS, parameters);
    const [first] = found as [Row];
    if (isBefore(after, removedPlace(first))) throw expired();
    const { scanned, last_position, last_id } = first;
    const events = found.filter((row): row is Row & Event => row.position !== null);
    const told = events.slice(0, limit);
    const rows = told.filter((event): event is Row & CompletionRow => event.id !== null);
    const last = told.at(-1);
    if (last && Number(last.found) > told.length) return { rows, end: feedPositionOf(last), isAll: false };
    const end: FeedPosition = last_position !== null && last_id !== null ? [Number(last_position), last_id] : after;
    return { rows, end, isAll: scanned < maxScanned };
  }
}

/** PostgreSQL compares ids in the same way. */
export function isBefore([position, id]: FeedPosition, [other, otherId]: FeedPosition): boolean {
  return position < other || (position === other && id < otherId);
}

function removedPlace({ removed_position, removed_id }: RemovedRow): FeedPosition {
  return [Number(removed_position), removed_id];
}

function expired(): Problem {
  return new Problem(
    'cursor_expired',
    'Events behind this cursor were removed for their age. Mirror the cases anew, by GET /v1/cases or its export, and ' +
      'follow the feed from a cursor that was taken before you began (from=now).',
  );
}

export function feedPositionOf({
  position,
  notification_id,
}: Pick<CompletionRow, 'position' | 'notification_id'>): FeedPosition {
  return [Number(position), notification_id];
}
