import type { OutgoingHttpHeaders } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import type { Response } from 'express';
import { describeError } from '../../database/errors.js';
import { Problem } from '../../http/problem/problem.js';
import { requestIdOf } from '../../http/request-id.js';

/** An export holds one of the ten connections of the query pool until its client has read it. */
const MAX_CONCURRENT = 2;

type Chunks = AsyncGenerator<string, void, void>;

/** Sends exports. An export ends when its client disconnects, and when the service shuts down. */
@Injectable()
export class ExportService implements OnModuleDestroy {
  readonly #logger = new Logger('Exports');
  readonly #running = new Map<Response, Promise<void>>();

  /**
   * @param read yields the chunks, and stops if its signal aborts
   * @throws any failure before the first chunk; a later failure closes the connection without an end of the body
   */
  async send(response: Response, headers: OutgoingHttpHeaders, read: (signal: AbortSignal) => Chunks): Promise<void> {
    if (this.#running.size >= MAX_CONCURRENT) {
      throw new Problem('service_unavailable', `${MAX_CONCURRENT} exports are running, which is the limit.`);
    }
    const sent = this.stream(response, headers, read);
    this.#running.set(
      response,
      sent.catch(() => undefined),
    );
    await sent.finally(() => this.#running.delete(response));
  }

  /** Closes the connections of running exports. A client sees that its body is incomplete. */
  async onModuleDestroy(): Promise<void> {
    for (const response of this.#running.keys()) response.destroy();
    await Promise.all(this.#running.values());
  }

  private async stream(
    response: Response,
    headers: OutgoingHttpHeaders,
    read: (signal: AbortSignal) => Chunks,
  ): Promise<void> {
    const closed = new AbortController();
    response.once('close', () => closed.abort());
    const chunks = read(closed.signal);
    try {
      const first = await chunks.next();
      for (const [name, value = ''] of Object.entries(headers)) response.setHeader(name, value);
      await pipeline(startWith(first, chunks), response);
    } catch (error) {
      const isDisconnected = response.closed && response.errored === null;
      if (!response.headersSent && !isDisconnected) throw error;
      if (!isDisconnected) {
        this.#logger.error('export aborted', { request_id: requestIdOf(response), error: describeError(error) });
      }
    } finally {
      await chunks.return();
    }
  }
}

async function* startWith(first: IteratorResult<string, void>, rest: Chunks): Chunks {
  if (first.done) return;
  yield first.value;
  yield* rest;
}
