import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { Response } from 'express';
import { isDatabaseUnavailable } from '../database/errors.js';
import type { CompletionQuery } from './completion.query.js';
import { CompletionResponse, type CompletionRow, type CompletionsResponse } from './completion.response.js';
import { BEFORE_ALL, CompletionsReader, type Place, placeOf, type Stretch } from './completions.reader.js';
import { Cursors } from './cursor.js';
import { Patience } from './patience.js';
import { ARRIVED, type Arrival, Watcher } from './watcher.js';

const RETRY_MS = 200;

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
  async begin({ workflow_id, cursor, from }: FeedQuestion): Promise<Place> {
    const position = await this.cursors.read(question(workflow_id), cursor);
    if (position) return position as unknown as Place;
    return from === 'now' ? this.reader.readEnd() : BEFORE_ALL;
  }

  async read(after: Place, workflowId: string | undefined, limit: number): Promise<Stretch> {
    return this.reader.read(after, workflowId, limit, 'replica');
  }

  /**
   * Returns as soon as there is something behind the place, or with nothing when patience is over. While PostgreSQL is away
   * it goes on waiting.
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
    const watch = this.watcher.watch();
    const patience = new Patience(seconds, response, watch);
    try {
      watch.on(ARRIVED.inFeed(workflowId), (arrival) => {
        if (isBehind(arrival, after)) patience.wake();
      });
      for (const many of [ARRIVED.many, ARRIVED.manyInFeed]) watch.on(many, () => patience.wake());
      while (!watch.hasBegun && !patience.isOver) await patience.woken();
      for (;;) {
        const stretch = await this.readPatiently(after, workflowId, limit, patience);
        if (stretch && (stretch.rows.length > 0 || !stretch.isAll || patience.isOver)) return stretch;
        if (stretch) await patience.woken();
        if (stretch && patience.isGone) return stretch;
      }
    } finally {
      patience.end();
      watch.close();
    }
  }

  async toResponse(stretch: Stretch, workflowId: string | undefined, reveals: boolean): Promise<CompletionsResponse> {
    return {
      data: stretch.rows.map((row) => CompletionResponse.from(row, reveals)),
      next_cursor: await this.cursors.write(question(workflowId), stretch.end),
      caught_up: stretch.isAll,
    };
  }

  /** The cursor that leads on behind this event. */
  async cursorOf(row: CompletionRow, workflowId: string | undefined): Promise<string> {
    return this.cursors.write(question(workflowId), placeOf(row));
  }

  /** Undefined if PostgreSQL is away, and there is time to try again. */
  private async readPatiently(
    after: Place,
    workflowId: string | undefined,
    limit: number,
    patience: Patience,
  ): Promise<Stretch | undefined> {
    try {
      return await this.reader.read(after, workflowId, limit, 'primary');
    } catch (error) {
      if (patience.isOver || !isDatabaseUnavailable(error)) throw error;
      await sleep(RETRY_MS);
      return undefined;
    }
  }
}

/** What a cursor is bound to. */
function question(workflowId: string | undefined): unknown[] {
  return ['completions', workflowId ?? null];
}

function isBehind({ position, notification_id }: Arrival, [after, id]: Place): boolean {
  return position > after || (position === after && notification_id > id);
}
