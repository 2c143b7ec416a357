import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { Response } from 'express';
import { isDatabaseUnavailable } from '../database/errors.js';
import { Problem } from '../http/problem.js';
import { CompletionResponse } from './completion.response.js';
import { Completions, type FeedQuestion } from './completions.js';
import type { Place, Stretch } from './completions.reader.js';

const MAX_STREAMS = 200;
const STRETCH = 200;
const COMMENT_INTERVAL_S = 15;
const PAUSE_AFTER_FAILURE_MS = 1_000;

const HEADERS = {
  'Content-Type': 'text/event-stream',
  Connection: 'close', // a stream that ends leaves nothing to come on its connection
  'X-Accel-Buffering': 'no', // tells nginx to pass on each event at once
};

/** Tells a client that lost its connection how long to wait before it comes back, in milliseconds. */
const RETRY = 'retry: 2000\n\n';
const COMMENT = ':\n\n';

/** The change feed as Server-Sent Events. https://html.spec.whatwg.org/multipage/server-sent-events.html */
@Injectable()
export class CompletionsStream {
  #streams = 0;

  constructor(private readonly completions: Completions) {}

  /**
   * Streams until the client goes or the service ends. A client that reads slowly is waited for: of what it has not taken yet,
   * one stretch is held.
   *
   * @throws Problem `invalid_cursor`; `service_unavailable` if too many stream already
   */
  async send(question: FeedQuestion, reveals: boolean, response: Response): Promise<void> {
    if (this.#streams >= MAX_STREAMS) throw new Problem('service_unavailable', 'Too many streams are open just now.');
    this.#streams += 1;
    try {
      const place = await this.completions.begin(question);
      response.writeHead(200, HEADERS).flushHeaders();
      const events = this.events(place, question.workflow_id, reveals, response);
      // A client that leaves ends the stream early, which is no fault of anybody.
      await pipeline(Readable.from(events, { highWaterMark: 1 }), response).catch(() => response.destroy());
    } finally {
      this.#streams -= 1;
    }
  }

  private async *events(
    from: Place,
    workflowId: string | undefined,
    reveals: boolean,
    response: Response,
  ): AsyncGenerator<string> {
    yield RETRY;
    let place = from;
    while (!this.completions.hasEnded) {
      const stretch = await this.next(place, workflowId, response);
      const events = (stretch?.rows ?? []).map(async (row) => {
        const { event, ...rest } = CompletionResponse.from(row, reveals);
        const id = await this.completions.cursorOf(row, workflowId);
        return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify({ event, ...rest })}\n\n`;
      });
      if (events.length > 0) yield (await Promise.all(events)).join('');
      else if (stretch?.isAll !== false) yield COMMENT;
      place = stretch?.end ?? place;
    }
  }

  /** Undefined while PostgreSQL is away: then the stream stays, and says nothing. */
  private async next(place: Place, workflowId: string | undefined, response: Response): Promise<Stretch | undefined> {
    try {
      const stretch = await this.completions.read(place, workflowId, STRETCH);
      if (stretch.rows.length > 0 || !stretch.isAll) return stretch;
      return await this.completions.wait(stretch.end, workflowId, STRETCH, COMMENT_INTERVAL_S, response);
    } catch (error) {
      if (!isDatabaseUnavailable(error)) throw error;
      await sleep(PAUSE_AFTER_FAILURE_MS);
      return undefined;
    }
  }
}
