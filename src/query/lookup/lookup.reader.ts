import { Injectable } from '@nestjs/common';
import type { CaseRow } from '../cases/case.dto.js';
import { MAX_CONTENT_BYTES } from '../cases/byte-limit.sql.js';
import { IngestFreshness, type IngestionResponse } from '../cases/freshness.dto.js';
import type { AskedCase, LookupVerdict } from './lookup.dto.js';
import { LOOK_UP } from './lookup.sql.js';
import { QueryRouter, type Target } from '../../database/query-router.js';

/** The limits of cases per item and per response. */
const MAX_CASES_OF_ITEM = 100;
const MAX_CASES = 10_000;

/** A case beyond the size of a response has its places alone; if no case matches, one row has no places. */
type Row = { last_notification_at: Date | null; held: number[]; places: number[] | null } & (
  Sized | { [column in keyof Sized]: null }
);
type Sized = CaseRow & { bytes: number };

/** The matches of one item: their number, and those within the size of a response. */
interface Matches {
  count: number;
  readonly cases: Sized[];
}

/** The verdicts before disclosure is applied. */
export interface LookupResult {
  readonly verdicts: readonly LookupVerdict[];
  readonly ingestion: IngestionResponse;
}

/** Looks up many cases in one statement. */
@Injectable()
export class LookupReader {
  constructor(
    private readonly queries: QueryRouter,
    private readonly ingestion: IngestFreshness,
  ) {}

  async read(items: readonly AskedCase[], target: Target): Promise<LookupResult> {
    const describe = this.ingestion.capture();
    const limit = Math.min(MAX_CASES_OF_ITEM, Math.floor(MAX_CASES / items.length));
    const column = (name: keyof AskedCase): (string | null)[] => items.map((item) => item[name] ?? null);
    const parameters = [column('case_id'), column('workflow_id'), column('callee_number'), limit + 1];
    const rows = await this.queries.queryOn<Row>(target, LOOK_UP, parameters);
    const held = new Set(rows[0]?.held);
    const matches = matchesByPlace(rows);
    const remaining = { bytes: MAX_CONTENT_BYTES };
    return {
      verdicts: items.map((item, index) => {
        const match = matches.get(index + 1) ?? { count: 0, cases: [] };
        return toVerdict(item, match, held.has(index + 1), takeFitting(match.cases, limit, remaining));
      }),
      ingestion: describe(rows[0]?.last_notification_at),
    };
  }
}

function matchesByPlace(rows: readonly Row[]): Map<number, Matches> {
  const matches = new Map<number, Matches>();
  for (const row of rows) {
    for (const place of row.places ?? []) {
      const match = matches.get(place) ?? { count: 0, cases: [] };
      match.count += 1;
      if (row.id !== null) match.cases.push(row);
      matches.set(place, match);
    }
  }
  return matches;
}

/** The newest cases within the remaining size of the response. A case of two items counts twice. */
function takeFitting(cases: readonly Sized[], limit: number, remaining: { bytes: number }): CaseRow[] {
  const newestFirst = cases.toSorted(
    (a, b) => b.completed_at.getTime() - a.completed_at.getTime() || (a.id < b.id ? 1 : -1),
  );
  return newestFirst.slice(0, limit).filter(({ bytes }) => {
    const fits = remaining.bytes > 0;
    if (fits) remaining.bytes -= bytes;
    return fits;
  });
}

function toVerdict(asked: AskedCase, { count }: Matches, isHeld: boolean, cases: readonly CaseRow[]): LookupVerdict {
  const status = count > 0 ? 'completed' : isHeld ? 'held' : 'not_seen';
  return { asked, status, cases, has_more: count > cases.length };
}
