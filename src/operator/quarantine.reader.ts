import { Injectable } from '@nestjs/common';
import type { Sight } from '../access/sight.js';
import { BodyResponse } from '../query/body.response.js';
import { Cursors } from '../query/cursor.js';
import { type Page, type PageQuery, toPage } from '../query/page.js';
import { Reads } from '../query/reads.js';
import { QuarantineResponse, type QuarantineRow, type QuarantineWithBodyResponse } from './quarantine.response.js';

const COLUMNS = `
  id, reason, errors, count, first_received_at, last_received_at, kind, workflow_id, case_id, callee_number`;

/** Pages along pk_quarantined_notifications: an id is made at the first receipt, so the greatest is the newest. */
export const LIST_QUARANTINE = `
  SELECT ${COLUMNS} FROM quarantined_notifications
  WHERE id < $1
  ORDER BY id DESC
  LIMIT $2`;

const GET_QUARANTINED = `SELECT ${COLUMNS}, body FROM quarantined_notifications WHERE id = $1`;

const AFTER_ALL = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

@Injectable()
export class QuarantineReader {
  constructor(
    private readonly reads: Reads,
    private readonly cursors: Cursors,
  ) {}

  async list(query: PageQuery, sight: Sight): Promise<Page<QuarantineResponse>> {
    const question = ['quarantine'];
    const position = (await this.cursors.read(question, query.cursor)) ?? [AFTER_ALL];
    const rows = await this.reads.query<QuarantineRow>(LIST_QUARANTINE, [position[0], query.limit + 1]);
    return toPage(
      rows,
      query.limit,
      (row) => QuarantineResponse.from(row, sight),
      async (last) => this.cursors.write(question, [last.id]),
    );
  }

  async get(id: string, sight: Sight): Promise<QuarantineWithBodyResponse | undefined> {
    const [row] = await this.reads.queryById<QuarantineRow & { body: Buffer }>(GET_QUARANTINED, [id]);
    return row && { ...QuarantineResponse.from(row, sight), ...BodyResponse.from(row.body, sight) };
  }
}
