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

/** Retention does not move the start of the feed past the position read this many times in a row. */
const MAX_ATTEMPTS = 20;

/** The part of the feed that a client follows. */
export type FeedQuery = Pick<CompletionQuery, 'workflow_id' | 'from' | 'cursor'>;

/** The change feed, page by page or as a long poll. */
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
   * The position at which a query begins.
   *
   * @throws Problem `invalid_cursor`
   */
  async begin({ workflow_id, cursor, from }: FeedQuery, target: Target = 'replica'): Promise<FeedPosition> {
    const position = this.cursors.read(cursorScope(workflow_id), cursor);
    if (position) return position as unknown as FeedPosition;
    return from === 'now' ? this.reader.readEnd() : this.reader.readStart(target);
  }

  async read(after: FeedPosition, workflowId: string | undefined, limit: number): Promise<FeedPage> {
    return this.reader.read(after, workflowId, limit, 'replica');
  }

  /**
   * The position at which a query begins, and the first page from there.
   *
   * The start of the feed may move between two statements, and another replica may lag behind it. Without a cursor the
   * start is then read again, from the primary.
   *
   * @throws Problem `invalid_cursor`, or `cursor_expired` if a cursor was given
   */
  async open(query: FeedQuery, limit: number): Promise<{ position: FeedPosition; page: FeedPage }> {
    for (let attempts = 1; ; attempts += 1) {
      const target = attempts === 1 ? 'replica' : 'primary';
      const position = await this.begin(query, target);
      try {
        return { position, page: await this.reader.read(position, query.workflow_id, limit, target) };
      } catch (error) {
        const isExpired = error instanceof Problem && error.code === 'cursor_expired';
        if (!isExpired || query.cursor !== undefined || attempts === MAX_ATTEMPTS) throw error;
      }
    }
  }

  /**
   * Long poll: returns the first events after the position, or an empty page at the deadline. Reads from the primary,
   * because a replica may lag behind the commit that ends the wait.
   *
   * @param response the response to the client; the wait ends when the client disconnects
   */
  async wait(
    after: FeedPosition,
    workflowId: string | undefined,
    limit: number,
    seconds: number,
    response: Response,
  ): Promise<FeedPage> {
    return longPoll(this.watcher, seconds, response, {
      subscribe: (subscription, wake) => {
        subscription.on(COMMIT_EVENTS.inFeed(workflowId), (event) => {
          if (isBefore(after, [event.position, event.notification_id])) wake();
        });
        subscription.on(COMMIT_EVENTS.manyInFeed, wake);
      },
      read: async () => this.reader.read(after, workflowId, limit, 'primary'),
      isSatisfied: ({ rows, isAll }) => rows.length > 0 || !isAll,
    });
  }

  toResponse(page: FeedPage, workflowId: string | undefined, disclosure: Disclosure): CompletionsResponse {
    return {
      data: page.rows.map((row) => CompletionResponse.from(row, disclosure)),
      next_cursor: this.cursors.write(cursorScope(workflowId), page.end),
      caught_up: page.isAll,
    };
  }

  /** The cursor of a position. */
  cursorAt(position: FeedPosition, workflowId: string | undefined): string {
    return this.cursors.write(cursorScope(workflowId), position);
  }
}

/** The scope that a cursor is bound to. */
function cursorScope(workflowId: string | undefined): unknown[] {
  return ['completions', workflowId ?? null];
}
