import { Injectable } from '@nestjs/common';
import type { QuarantineActionEntity } from '../../database/entities.js';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import { LAST_ID } from '../../database/ids.js';
import { BodyResponse } from '../../access/disclosure/raw-body.dto.js';
import { Cursors } from '../../http/rest/cursor.js';
import { type Page, type PageQuery, toPage } from '../../http/rest/page.js';
import { QueryRouter } from '../../database/query-router.js';
import { QuarantineActionResponse } from './quarantine-action.dto.js';
import {
  type QuarantineQuery,
  QuarantineResponse,
  type QuarantineRow,
  type QuarantineWithBodyResponse,
} from './quarantine.dto.js';
import {
  GET_QUARANTINED,
  LIST_ACTIONS,
  listStatement,
  type QuarantinePosition,
  cursorScopeOf,
} from './quarantine.sql.js';

/** Reads the quarantine and the actions of operators. */
@Injectable()
export class QuarantineReader {
  constructor(
    private readonly queries: QueryRouter,
    private readonly cursors: Cursors,
  ) {}

  async list(query: QuarantineQuery, disclosure: Disclosure): Promise<Page<QuarantineResponse>> {
    const cursorScope = ['quarantine', ...cursorScopeOf(query)];
    const after = this.cursors.read(cursorScope, query.cursor) as QuarantinePosition | undefined;
    const { text, parameters } = listStatement(query, after, query.limit + 1);
    const rows = await this.queries.query<QuarantineRow>(text, parameters);
    return toPage(
      rows,
      query.limit,
      (row) => QuarantineResponse.from(row, disclosure),
      (last) => this.cursors.write(cursorScope, [last.first_received_at.getTime(), last.id]),
    );
  }

  async get(id: string, disclosure: Disclosure): Promise<QuarantineWithBodyResponse | undefined> {
    const [row] = await this.queries.queryById<QuarantineRow & { body: Buffer }>(GET_QUARANTINED, [id]);
    return row && { ...QuarantineResponse.from(row, disclosure), ...BodyResponse.from(row.body, disclosure) };
  }

  async listActions(query: PageQuery): Promise<Page<QuarantineActionResponse>> {
    const cursorScope = ['quarantine actions'];
    const [before] = this.cursors.read(cursorScope, query.cursor) ?? [LAST_ID];
    const rows = await this.queries.query<QuarantineActionEntity>(LIST_ACTIONS, [before, query.limit + 1]);
    return toPage(rows, query.limit, QuarantineActionResponse.from, (last) =>
      this.cursors.write(cursorScope, [last.id]),
    );
  }
}
