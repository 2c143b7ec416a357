import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import type { Response } from 'express';
import type { ApiKey } from '../../config/api-key.js';
import { ApiKeyStore } from '../../access/api-key-store.js';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import { describeError, isDatabaseUnavailable } from '../../database/errors.js';
import { Problem } from '../../http/problem/problem.js';
import { CompletionResponse } from './feed.dto.js';
import { FeedService, type FeedQuery } from './feed.service.js';
import { type FeedPosition, feedPositionOf, type FeedPage } from './feed.reader.js';

const MAX_STREAMS = 200;
const PAGE_SIZE = 200;
const COMMENT_INTERVAL_S = 15;
const PAUSE_AFTER_FAILURE_MS = 1_000;

const HEADERS = {
  'Content-Type': 'text/event-stream',
  Connection: 'close', // a stream that ends leaves nothing to come on its connection
  'X-Accel-Buffering': 'no', // tells nginx to pass on each event at once
};

/** Tells a client that lost its connection how long to wait before it comes back, in milliseconds. */
const RETRY = 'retry: 2000\n';

/** The change feed as Server-Sent Events. https://html.spec.whatwg.org/multipage/server-sent-events.html */
@Injectable()
export class FeedStream {
  readonly #logger = new Logger('Stream');
  #streams = 0;

  constructor(
    private readonly completions: FeedService,
    private readonly keys: ApiKeyStore,
  ) {}

  /**
   * Streams until the client goes, its key is withdrawn or the service ends. A client that reads slowly is waited for: of what it has
   * not taken yet two stretches are held. Where what it shows cannot be recorded the stream breaks off, and the client comes back
   * for it.
   *
   * @throws Problem `invalid_cursor`; `cursor_expired`; `service_unavailable` if too many stream already
   */
  async send(question: FeedQuery, key: ApiKey, disclosure: Disclosure, response: Response): Promise<void> {
    if (this.#streams >= MAX_STREAMS) throw new Problem('service_unavailable', 'Too many streams are open just now.');
    this.#streams += 1;
    try {
      const { place } = await this.completions.open(question, 1); // a cursor that has expired begins no stream
      response.writeHead(200, HEADERS).flushHeaders();
      const events = this.events(place, question.workflow_id, { key, disclosure }, response);
      await pipeline(Readable.from(events, { highWaterMark: 1 }), response).catch((error: unknown) => {
        if (!isGone(error)) this.#logger.error('stream broken off', { error: describeError(error) });
        response.destroy();
      });
    } finally {
      this.#streams -= 1;
    }
  }

  private async *events(
    from: FeedPosition,
    workflowId: string | undefined,
    { key, disclosure }: { key: ApiKey; disclosure: Disclosure },
    response: Response,
  ): AsyncGenerator<string> {
    let place = from;
    yield RETRY + this.keepAliveComment(place, workflowId);
    while (!this.completions.hasEnded && !response.closed) {
      const stretch = await this.next(place, workflowId, response);
      if (!this.keys.isValid(key)) return;
      place = stretch?.end ?? place;
      if (stretch && stretch.rows.length > 0) yield await this.render(stretch, workflowId, disclosure);
      else if (stretch?.isAll !== false) yield this.keepAliveComment(place, workflowId);
    }
  }

  /** Where the stream has come to, without an event: a client that comes back goes on there. */
  private keepAliveComment(place: FeedPosition, workflowId: string | undefined): string {
    return `:\nid: ${this.completions.cursorAt(place, workflowId)}\n\n`;
  }

  /** What it shows is on record. */
  private async render({ rows }: FeedPage, workflowId: string | undefined, disclosure: Disclosure): Promise<string> {
    const events = rows.map((row) => {
      const data = CompletionResponse.from(row, disclosure);
      const id = this.completions.cursorAt(feedPositionOf(row), workflowId);
      return `id: ${id}\nevent: ${data.event}\ndata: ${JSON.stringify(data)}\n\n`;
    });
    await disclosure.record();
    return events.join('');
  }

  /** Undefined while PostgreSQL is away: then the stream stays, and has nothing to tell. */
  private async next(
    place: FeedPosition,
    workflowId: string | undefined,
    response: Response,
  ): Promise<FeedPage | undefined> {
    try {
      const stretch = await this.completions.read(place, workflowId, PAGE_SIZE);
      if (stretch.rows.length > 0 || !stretch.isAll) return stretch;
      return await this.completions.wait(stretch.end, workflowId, PAGE_SIZE, COMMENT_INTERVAL_S, response);
    } catch (error) {
      if (!isDatabaseUnavailable(error)) throw error;
      await sleep(PAUSE_AFTER_FAILURE_MS);
      return undefined;
    }
  }
}

/** A client that leaves ends the stream early, which is nobody's fault. */
function isGone(error: unknown): boolean {
  return /^(ERR_STREAM_|ECONNRESET|EPIPE)/.test((error as NodeJS.ErrnoException).code ?? '');
}
