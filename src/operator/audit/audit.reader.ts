import { Injectable } from '@nestjs/common';
import type { RevealEntity } from '../../database/entities.js';
import { FIRST_ID, LAST_ID, lowestIdAt } from '../../database/ids.js';
import { Cursors } from '../../http/rest/cursor.js';
import { type Page, toPage } from '../../http/rest/page.js';
import { QueryRouter } from '../../database/query-router.js';
import { parseTime } from '../../http/rest/time.js';
import { type AuditQuery, RevealResponse } from './audit.dto.js';
import { LIST_REVEALS, LIST_REVEALS_OF_KEY } from './audit.sql.js';

/** Reads the records of disclosures. */
@Injectable()
export class AuditReader {
  constructor(
    private readonly queries: QueryRouter,
    private readonly cursors: Cursors,
  ) {}

  async list({ key, from, to, limit, cursor }: AuditQuery): Promise<Page<RevealResponse>> {
    const cursorScope = ['audit', key ?? null, from ?? null, to ?? null];
    const position = this.cursors.read(cursorScope, cursor);
    const range = [position?.[0] ?? lowestId(to) ?? LAST_ID, lowestId(from) ?? FIRST_ID, limit + 1];
    const rows =
      key === undefined
        ? await this.queries.query<RevealEntity>(LIST_REVEALS, range)
        : await this.queries.query<RevealEntity>(LIST_REVEALS_OF_KEY, [...range, key]);
    return toPage(rows, limit, RevealResponse.from, (last) => this.cursors.write(cursorScope, [last.id]));
  }
}

function lowestId(text: string | undefined): string | undefined {
  const time = text === undefined ? undefined : parseTime(text);
  return time && lowestIdAt(time);
}
