import { Injectable } from '@nestjs/common';
import type { CaseRow } from '../cases/case.dto.js';
import { MAX_CONTENT_BYTES } from '../cases/byte-limit.sql.js';
import { IngestFreshness, type IngestionResponse } from '../cases/freshness.dto.js';
import type { AskedCase, LookupVerdict } from './lookup.dto.js';
import { LOOK_UP } from './lookup.sql.js';
import { QueryRouter, type Target } from '../../database/query-router.js';

/** So many cases are shown of one item, and of all together, where the items would otherwise match more. */
const MAX_CASES_OF_ITEM = 100;
const MAX_CASES = 10_000;

/** A case that does not fit into the answer has its places and nothing else; where nothing matches, there are none. */
type Row = { last_notification_at: Date | null; held: number[]; places: number[] | null } & (
  Sized | { [column in keyof Sized]: null }
);
type Sized = CaseRow & { bytes: number };

/** What matches one item: how many cases, and those of them that are here. */
interface Matches {
  count: number;
  readonly cases: Sized[];
}

/** What is known of what was asked, before it is known who sees it. */
export interface LookupResult {
  readonly verdicts: readonly LookupVerdict[];
  readonly ingestion: IngestionResponse;
}

/** Answers for many cases at once. */
@Injectable()
export class LookupReader {
  constructor(
    private readonly queries: QueryRouter,
    private readonly ingestion: IngestFreshness,
  ) {}

  async read(asked: readonly AskedCase[], where: Target): Promise<LookupResult> {
    const describe = this.ingestion.capture();
    const limit = Math.min(MAX_CASES_OF_ITEM, Math.floor(MAX_CASES / asked.length));
    const column = (name: keyof AskedCase): (string | null)[] => asked.map((item) => item[name] ?? null);
    const parameters = [column('case_id'), column('workflow_id'), column('callee_number'), limit + 1];
    const rows = await this.queries.queryOn<Row>(where, LOOK_UP, parameters);
    const held = new Set(rows[0]?.held);
    const matches = matchesByPlace(rows);
    const room = { bytes: MAX_CONTENT_BYTES };
    return {
      verdicts: asked.map((item, index) => {
        const found = matches.get(index + 1) ?? { count: 0, cases: [] };
        return toVerdict(item, found, held.has(index + 1), takeFitting(found.cases, limit, room));
      }),
      ingestion: describe(rows[0]?.last_notification_at),
    };
  }
}

function matchesByPlace(rows: readonly Row[]): Map<number, Matches> {
  const matches = new Map<number, Matches>();
  for (const row of rows) {
    for (const place of row.places ?? []) {
      const found = matches.get(place) ?? { count: 0, cases: [] };
      found.count += 1;
      if (row.id !== null) found.cases.push(row);
      matches.set(place, found);
    }
  }
  return matches;
}

/** The newest cases, as long as there is room in the answer: an item that is asked twice takes room twice. */
function takeFitting(cases: readonly Sized[], limit: number, room: { bytes: number }): CaseRow[] {
  const newestFirst = cases.toSorted(
    (a, b) => b.completed_at.getTime() - a.completed_at.getTime() || (a.id < b.id ? 1 : -1),
  );
  return newestFirst.slice(0, limit).filter(({ bytes }) => {
    const hasRoom = room.bytes > 0;
    if (hasRoom) room.bytes -= bytes;
    return hasRoom;
  });
}

function toVerdict(asked: AskedCase, { count }: Matches, isHeld: boolean, cases: readonly CaseRow[]): LookupVerdict {
  const status = count > 0 ? 'completed' : isHeld ? 'held' : 'not_seen';
  return { asked, status, cases, has_more: count > cases.length };
}
