import { Injectable } from '@nestjs/common';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import type { CaseQuery } from './case-filter.dto.js';
import { type CaseRow, CaseResponse, type CasesPage } from './case.dto.js';
import { CASE_FILTERS, NODE_TASK_FILTERS } from './case-filter.sql.js';
import { GET_CASE, listStatement } from './cases.sql.js';
import { Cursors } from '../../http/rest/cursor.js';
import { IngestFreshness } from './freshness.dto.js';
import { toPage } from '../../http/rest/page.js';
import { QueryRouter } from '../../database/query-router.js';

/** If no case matches, one row has the columns of the whole list alone. */
type Row = (CaseRow | { [column in keyof CaseRow]: null }) & {
  readonly last_notification_at: Date | null;
  readonly total: string | null;
  readonly total_rows: string | null;
};

/** Reads cases. Each response is one statement, so that all of it is of one snapshot. */
@Injectable()
export class CasesReader {
  constructor(
    private readonly queries: QueryRouter,
    private readonly cursors: Cursors,
    private readonly ingestion: IngestFreshness,
  ) {}

  async get(id: string, disclosure: Disclosure): Promise<CaseResponse | undefined> {
    const [row] = await this.queries.queryById<CaseRow>(GET_CASE, [id]);
    return row && CaseResponse.from(row, disclosure);
  }

  /**
   * Pages along (completed_at, id), so that new cases do not move others to another page. A case moves only if an older
   * delivery arrives late and its completion becomes earlier.
   */
  async list(query: CaseQuery, disclosure: Disclosure): Promise<CasesPage> {
    const cursorScope = cursorScopeOf(query);
    const position = this.cursors.read(cursorScope, query.cursor);
    const { text, parameters } = listStatement(query, position as [number, string] | undefined);
    const describe = this.ingestion.capture();
    const rows = await this.queries.query<Row>(text, parameters);
    const page = toPage(
      rows.filter((row): row is CaseRow & Row => row.id !== null),
      query.limit,
      (row) => CaseResponse.from(row, disclosure),
      (last) => this.cursors.write(cursorScope, [last.completed_at.getTime(), last.id]),
      Number(rows[0]?.total_rows),
    );
    const ingestion = describe(rows[0]?.last_notification_at);
    return query.include_total ? { ...page, total: Number(rows[0]?.total), ingestion } : { ...page, ingestion };
  }
}

/** The scope that a cursor is bound to: the filters and the order. Exported for the bench. */
export function cursorScopeOf(query: CaseQuery): unknown[] {
  const filters = [...CASE_FILTERS, ...NODE_TASK_FILTERS].map((name) => query[name] ?? null);
  return ['cases', query.order, query.completed_from ?? null, query.completed_to ?? null, ...filters];
}
