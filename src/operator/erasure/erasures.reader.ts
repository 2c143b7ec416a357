import { Injectable } from '@nestjs/common';
import { Cursors } from '../../http/rest/cursor.js';
import { type Page, type PageQuery, toPage } from '../../http/rest/page.js';
import { QueryRouter } from '../../database/query-router.js';
import { ErasureResponse, type ErasureRow } from './erasure.dto.js';
import { GET_ERASURE, LIST_ERASURES } from './erasure.sql.js';

/** Reads the receipts of erasures. */
@Injectable()
export class ErasuresReader {
  constructor(
    private readonly queries: QueryRouter,
    private readonly cursors: Cursors,
  ) {}

  async list(query: PageQuery): Promise<Page<ErasureResponse>> {
    const cursorScope = ['erasures'];
    const [before] = this.cursors.read(cursorScope, query.cursor) ?? [Number.MAX_SAFE_INTEGER];
    const rows = await this.queries.query<ErasureRow>(LIST_ERASURES, [before, query.limit + 1]);
    return toPage(rows, query.limit, ErasureResponse.from, ({ number }) =>
      this.cursors.write(cursorScope, [Number(number)]),
    );
  }

  /** Reads from the primary, where a receipt is visible at once. */
  async get(id: string): Promise<ErasureResponse | undefined> {
    const [row] = await this.queries.queryPrimary<ErasureRow>(GET_ERASURE, [id]);
    return row && ErasureResponse.from(row);
  }
}
