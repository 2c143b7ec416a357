import { Injectable } from '@nestjs/common';
import type { Response } from 'express';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import { type CompletionQuery, CompletionResponse, type CompletionsResponse } from './feed.dto.js';
import { FeedReader, isBefore, type FeedPosition, type FeedPage } from './feed.reader.js';
import { Problem } from '../../http/problem/problem.js';
import { Cursors } from '../../http/rest/cursor.js';
import type { Target } from '../../database/query-router.js';
import { longPoll } from '../waiting/long-poll.js';
import { COMMIT_EVENTS } from '../waiting/subscription.js';
import { CommitWatcher } from '../waiting/commit-watcher.js';

/** So often in a row the start is not moved past where it was read. */
const MAX_ATTEMPTS = 20;

/** Which part of the feed. */
export type FeedQuery = Pick<CompletionQuery, 'workflow_id' | 'from' | 'cursor'>;

/** The change feed, page by page or as it grows. */
@Injectable()
export class FeedService {
  constructor(
    private readonly reader: FeedReader,
    private readonly cursors: Cursors,
    private readonly watcher: CommitWatcher,
  ) {}

  get hasEnded(): boolean {
    return this.watcher.hasEnded;
  }

  /**
   * Where a question begins.
   *
   * @throws Problem `invalid_cursor`
   */
  async begin({ workflow_id, cursor, from }: FeedQuery, where: Target = 'replica'): Promise<FeedPosition> {
    const position = this.cursors.read(cursorScope(workflow_id), cursor);
    if (position) return position as unknown as FeedPosition;
    return from === 'now' ? this.reader.readEnd() : this.reader.readStart(where);
  }

  async read(after: FeedPosition, workflowId: string | undefined, limit: number): Promise<FeedPage> {
    return this.reader.read(after, workflowId, limit, 'replica');
  }

  /**
   * Where a question begins, and the first stretch from there.
   *
   * @throws Problem `invalid_cursor`; `cursor_expired`, never where none was given: the start may move between two statements,
   *   and is on another replica where it was on this one a while ago
   */
  async open(asked: FeedQuery, limit: number): Promise<{ place: FeedPosition; stretch: FeedPage }> {
    for (let attempts = 1; ; attempts += 1) {
      const where = attempts === 1 ? 'replica' : 'primary';
      const place = await this.begin(asked, where);
      try {
        return { place, stretch: await this.reader.read(place, asked.workflow_id, limit, where) };
      } catch (error) {
        const isExpired = error instanceof Problem && error.code === 'cursor_expired';
        if (!isExpired || asked.cursor !== undefined || attempts === MAX_ATTEMPTS) throw error;
      }
    }
  }

  /**
   * Returns as soon as there is something behind the place, or with nothing when patience is over.
   *
   * A replica may lag behind what wakes those who wait, so what they read then comes from the primary.
   *
   * @param response the client's, to learn that it hung up
   */
  async wait(
    after: FeedPosition,
    workflowId: string | undefined,
    limit: number,
    seconds: number,
    response: Response,
  ): Promise<FeedPage> {
    return longPoll(this.watcher, seconds, response, {
      subscribe: (watch, wake) => {
        watch.on(COMMIT_EVENTS.inFeed(workflowId), (arrival) => {
          if (isBefore(after, [arrival.position, arrival.notification_id])) wake();
        });
        watch.on(COMMIT_EVENTS.manyInFeed, wake);
      },
      read: async () => this.reader.read(after, workflowId, limit, 'primary'),
      isSatisfied: ({ rows, isAll }) => rows.length > 0 || !isAll,
    });
  }

  toResponse(stretch: FeedPage, workflowId: string | undefined, disclosure: Disclosure): CompletionsResponse {
    return {
      data: stretch.rows.map((row) => CompletionResponse.from(row, disclosure)),
      next_cursor: this.cursors.write(cursorScope(workflowId), stretch.end),
      caught_up: stretch.isAll,
    };
  }

  /** The cursor that leads on from there. */
  cursorAt(place: FeedPosition, workflowId: string | undefined): string {
    return this.cursors.write(cursorScope(workflowId), place);
  }
}

/** What a cursor is bound to. */
function cursorScope(workflowId: string | undefined): unknown[] {
  return ['completions', workflowId ?? null];
}
