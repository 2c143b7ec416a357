import { Injectable } from '@nestjs/common';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import { FIRST_ID } from '../../database/ids.js';
import { BodyResponse } from '../../access/disclosure/raw-body.dto.js';
import { Cursors } from '../../http/rest/cursor.js';
import { NotificationResponse, type NotificationRow, type NotificationWithBodyResponse } from './notification.dto.js';
import { type Page, type PageQuery, toPage } from '../../http/rest/page.js';
import { CASE_EXISTS, GET_NOTIFICATION, LIST_NOTIFICATIONS_OF_CASE } from './notifications.sql.js';
import { QueryRouter } from '../../database/query-router.js';

const BEFORE_ALL = ['-infinity', FIRST_ID] as const;

/** Reads deliveries. */
@Injectable()
export class NotificationsReader {
  constructor(
    private readonly queries: QueryRouter,
    private readonly cursors: Cursors,
  ) {}

  async get(id: string, disclosure: Disclosure): Promise<NotificationWithBodyResponse | undefined> {
    const [row] = await this.queries.queryById<NotificationRow & { body: Buffer | null }>(GET_NOTIFICATION, [id]);
    return (
      row && { ...NotificationResponse.from(row, disclosure), ...(row.body && BodyResponse.from(row.body, disclosure)) }
    );
  }

  /** The deliveries of a case in order of receipt; undefined if there is no such case. */
  async listOfCase(
    caseRef: string,
    query: PageQuery,
    disclosure: Disclosure,
  ): Promise<Page<NotificationResponse> | undefined> {
    const cursorScope = ['case notifications', caseRef];
    const position = this.cursors.read(cursorScope, query.cursor);
    const [receivedAt, id] = position ? [new Date(position[0] as number), position[1]] : BEFORE_ALL;
    const rows = await this.queries.queryById<NotificationRow>(LIST_NOTIFICATIONS_OF_CASE, [
      caseRef,
      receivedAt,
      id,
      query.limit + 1,
    ]);
    if (rows.length === 0 && !position && !(await this.caseExists(caseRef))) return undefined;
    return toPage(
      rows,
      query.limit,
      (row) => NotificationResponse.from(row, disclosure),
      (last) => this.cursors.write(cursorScope, [last.received_at.getTime(), last.id]),
    );
  }

  private async caseExists(id: string): Promise<boolean> {
    const rows = await this.queries.queryById(CASE_EXISTS, [id]);
    return rows.length > 0;
  }
}
