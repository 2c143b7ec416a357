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
  Connection: 'close', // no request follows a stream on its connection
  'X-Accel-Buffering': 'no', // nginx then forwards each event at once
};

/** The pause of a client before it reconnects, in milliseconds. */
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
   * Streams until the client disconnects, its key is withdrawn or the service shuts down. If a client reads slowly, the
   * stream holds two pages for it and waits. If a disclosure cannot be recorded, the stream aborts, and the client
   * reconnects.
   *
   * @throws Problem `invalid_cursor`; `cursor_expired`; `service_unavailable` above the limit of streams
   */
  async send(query: FeedQuery, key: ApiKey, disclosure: Disclosure, response: Response): Promise<void> {
    if (this.#streams >= MAX_STREAMS) throw new Problem('service_unavailable', 'Too many streams are open.');
    this.#streams += 1;
    try {
      const { position } = await this.completions.open(query, 1); // rejects an expired cursor before the stream begins
      response.writeHead(200, HEADERS).flushHeaders();
      const events = this.events(position, query.workflow_id, { key, disclosure }, response);
      await pipeline(Readable.from(events, { highWaterMark: 1 }), response).catch((error: unknown) => {
        if (!isDisconnect(error)) this.#logger.error('event stream aborted', { error: describeError(error) });
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
    let position = from;
    yield RETRY + this.keepAliveComment(position, workflowId);
    while (!this.completions.hasEnded && !response.closed) {
      const page = await this.next(position, workflowId, response);
      if (!this.keys.isValid(key)) return;
      position = page?.end ?? position;
      if (page && page.rows.length > 0) yield await this.render(page, workflowId, disclosure);
      else if (page?.isAll !== false) yield this.keepAliveComment(position, workflowId);
    }
  }

  /** A comment with the position of the stream as its id: a client that reconnects continues there. */
  private keepAliveComment(position: FeedPosition, workflowId: string | undefined): string {
    return `:\nid: ${this.completions.cursorAt(position, workflowId)}\n\n`;
  }

  /** Renders events, and records what they disclose before it returns. */
  private async render({ rows }: FeedPage, workflowId: string | undefined, disclosure: Disclosure): Promise<string> {
    const events = rows.map((row) => {
      const data = CompletionResponse.from(row, disclosure);
      const id = this.completions.cursorAt(feedPositionOf(row), workflowId);
      return `id: ${id}\nevent: ${data.event}\ndata: ${JSON.stringify(data)}\n\n`;
    });
    await disclosure.record();
    return events.join('');
  }

  /** Undefined if PostgreSQL is unavailable: the stream stays open without events. */
  private async next(
    position: FeedPosition,
    workflowId: string | undefined,
    response: Response,
  ): Promise<FeedPage | undefined> {
    try {
      const page = await this.completions.read(position, workflowId, PAGE_SIZE);
      if (page.rows.length > 0 || !page.isAll) return page;
      return await this.completions.wait(page.end, workflowId, PAGE_SIZE, COMMENT_INTERVAL_S, response);
    } catch (error) {
      if (!isDatabaseUnavailable(error)) throw error;
      await sleep(PAUSE_AFTER_FAILURE_MS);
      return undefined;
    }
  }
}

/** True if the client has disconnected, which is no fault. */
function isDisconnect(error: unknown): boolean {
  return /^(ERR_STREAM_|ECONNRESET|EPIPE)/.test((error as NodeJS.ErrnoException).code ?? '');
}
