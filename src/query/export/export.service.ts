import type { OutgoingHttpHeaders } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import type { Response } from 'express';
import { describeError } from '../../database/errors.js';
import { Problem } from '../../http/problem/problem.js';
import { requestIdOf } from '../../http/request-id.js';

/** Each holds a connection of the readers' ten for as long as its client reads. */
const MAX_AT_ONCE = 2;

type Chunks = AsyncGenerator<string, void, void>;

/** The exports under way. They end with the client that reads them, and with the service. */
@Injectable()
export class ExportService implements OnModuleDestroy {
  readonly #logger = new Logger('Exports');
  readonly #underWay = new Map<Response, Promise<void>>();

  /**
   * @param read gives up at its signal
   * @throws what goes wrong before the first chunk is there; after that the connection is broken off
   */
  async send(response: Response, headers: OutgoingHttpHeaders, read: (signal: AbortSignal) => Chunks): Promise<void> {
    if (this.#underWay.size >= MAX_AT_ONCE) {
      throw new Problem('service_unavailable', `${MAX_AT_ONCE} exports are under way, and no more run at once.`);
    }
    const sent = this.stream(response, headers, read);
    this.#underWay.set(
      response,
      sent.catch(() => undefined),
    );
    await sent.finally(() => this.#underWay.delete(response));
  }

  /** Whoever is still reading has had time to end. What is broken off here does not look complete. */
  async onModuleDestroy(): Promise<void> {
    for (const response of this.#underWay.keys()) response.destroy();
    await Promise.all(this.#underWay.values());
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
      const hasLeft = response.closed && response.errored === null;
      if (!response.headersSent && !hasLeft) throw error;
      if (!hasLeft) {
        this.#logger.error('export broke off', { request_id: requestIdOf(response), error: describeError(error) });
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
