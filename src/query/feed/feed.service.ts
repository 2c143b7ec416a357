import { Injectable } from '@nestjs/common';
import type { Response } from 'express';
import type { Sight } from '../../access/disclosure/disclosure.js';
import type { CompletionQuery } from './feed-query.dto.js';
import { CompletionResponse, type CompletionsResponse } from './feed.dto.js';
import { CompletionsReader, isBefore, type Place, type Stretch } from './feed.reader.js';
import { Problem } from '../../http/problem/problem.js';
import { Cursors } from '../../http/rest/cursor.js';
import type { Where } from '../../database/query-router.js';
import { waitFor } from '../waiting/long-poll.js';
import { ARRIVED } from '../waiting/subscription.js';
import { Watcher } from '../waiting/commit-watcher.js';

/** So often in a row the start is not moved past where it was read. */
const MAX_ATTEMPTS = 20;

/** Which part of the feed. */
export type FeedQuestion = Pick<CompletionQuery, 'workflow_id' | 'from' | 'cursor'>;

/** The change feed, page by page or as it grows. */
@Injectable()
export class Completions {
  constructor(
    private readonly reader: CompletionsReader,
    private readonly cursors: Cursors,
    private readonly watcher: Watcher,
  ) {}

  get hasEnded(): boolean {
    return this.watcher.hasEnded;
  }

  /**
   * Where a question begins.
   *
   * @throws Problem `invalid_cursor`
   */
  async begin({ workflow_id, cursor, from }: FeedQuestion, where: Where = 'replica'): Promise<Place> {
    const position = await this.cursors.read(question(workflow_id), cursor);
    if (position) return position as unknown as Place;
    return from === 'now' ? this.reader.readEnd() : this.reader.readStart(where);
  }

  async read(after: Place, workflowId: string | undefined, limit: number): Promise<Stretch> {
    return this.reader.read(after, workflowId, limit, 'replica');
  }

  /**
   * Where a question begins, and the first stretch from there.
   *
   * @throws Problem `invalid_cursor`; `cursor_expired`, never where none was given: the start may move between two statements,
   *   and is on another replica where it was on this one a while ago
   */
  async open(asked: FeedQuestion, limit: number): Promise<{ place: Place; stretch: Stretch }> {
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
    after: Place,
    workflowId: string | undefined,
    limit: number,
    seconds: number,
    response: Response,
  ): Promise<Stretch> {
    return waitFor(this.watcher, seconds, response, {
      listen: (watch, wake) => {
        watch.on(ARRIVED.inFeed(workflowId), (arrival) => {
          if (isBefore(after, [arrival.position, arrival.notification_id])) wake();
        });
        watch.on(ARRIVED.manyInFeed, wake);
      },
      look: async () => this.reader.read(after, workflowId, limit, 'primary'),
      isFulfilled: ({ rows, isAll }) => rows.length > 0 || !isAll,
    });
  }

  async toResponse(stretch: Stretch, workflowId: string | undefined, sight: Sight): Promise<CompletionsResponse> {
    return {
      data: stretch.rows.map((row) => CompletionResponse.from(row, sight)),
      next_cursor: await this.cursors.write(question(workflowId), stretch.end),
      caught_up: stretch.isAll,
    };
  }

  /** The cursor that leads on from there. */
  async cursorAt(place: Place, workflowId: string | undefined): Promise<string> {
    return this.cursors.write(question(workflowId), place);
  }
}

/** What a cursor is bound to. */
function question(workflowId: string | undefined): unknown[] {
  return ['completions', workflowId ?? null];
}
