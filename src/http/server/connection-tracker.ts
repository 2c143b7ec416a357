import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Injectable } from '@nestjs/common';
import { Problem } from '../problem/problem.js';
import { sendProblem } from '../problem/send-problem.js';
import { assignRequestId } from '../request-id.js';
import type { RequestStep } from './request-chain.js';

/** Interval for closing connections whose last request is answered while the server closes. */
const CLOSE_INTERVAL_MS = 50;

/**
 * Tracks the connections of a server, so that a shutdown does not wait for those without a request. A browser opens some in
 * advance, and one that never sends would delay the shutdown.
 *
 * - *Serving*: every request passes.
 * - *Refusing*, from `refuseNew` on: new requests get `503`, those in progress are answered.
 * - *Closing*, from `end` on: connections without a request close at once, the others after their answer or the grace time.
 *
 * Requests are only counted. A set of requests would leave dead tables in the old generation, which keep their former
 * entries alive: that alone was most of the work of the garbage collector.
 */
@Injectable()
export class ConnectionTracker {
  #server: Server | undefined;
  readonly #unused = new Set<Socket>();
  #inProgress = 0;
  #isRefusing = false;
  #onAnswered: (() => void) | undefined;

  /** @returns the step of the request chain that counts requests */
  track(server: Server): RequestStep {
    this.#server = server;
    server.on('connection', (socket) => {
      this.#unused.add(socket);
      socket.once('close', () => this.#unused.delete(socket));
    });
    return (request, response, next) => {
      this.#unused.delete(request.socket);
      this.#inProgress += 1;
      response.once('close', () => {
        this.#inProgress -= 1;
        if (this.#inProgress === 0) this.#onAnswered?.();
      });
      if (this.#isRefusing) refuse(response);
      else next();
    };
  }

  /** Refuses new requests, and returns when those in progress are answered or the grace time is over. */
  async refuseNew(graceMs: number): Promise<void> {
    this.#isRefusing = true;
    if (this.#inProgress === 0) return;
    await new Promise<void>((resolve) => {
      this.#onAnswered = resolve;
      setTimeout(resolve, graceMs).unref();
    });
  }

  /** Closes connections without a request at once, the others when they are answered or the grace time is over. */
  end(graceMs: number): void {
    const server = this.#server;
    if (!server) return;
    for (const socket of this.#unused) socket.destroy();
    server.closeIdleConnections();
    const closing = setInterval(() => server.closeIdleConnections(), CLOSE_INTERVAL_MS).unref();
    server.once('close', () => clearInterval(closing));
    setTimeout(() => server.closeAllConnections(), graceMs).unref();
  }
}

function refuse(response: ServerResponse): void {
  assignRequestId(response);
  response.setHeader('Connection', 'close');
  sendProblem(response, new Problem('service_unavailable', 'The service is shutting down.'));
}
