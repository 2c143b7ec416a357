import type { RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Problem } from '../problem/problem.js';
import { assignRequestId } from '../request-id.js';
import { sendProblem } from '../problem/send-problem.js';

/** Connections whose last request is answered while the server closes are looked for that often. */
const CLOSE_INTERVAL_MS = 50;

/** A server's way to its end. */
export interface ConnectionTracker {
  /** Answers new requests with `503` from now on, and returns when those under way are answered, or the time is up. */
  refuseNew(): Promise<void>;
  /** Ends all connections on which nothing is under way at once, and the others when they are answered, or the time is up. */
  end(): void;
}

/**
 * Keeps count of a server's connections, so that it can be closed without waiting for those on which nothing is under
 * way: a browser opens some in advance, and one that never sends would hold up the end.
 *
 * Requests are only counted. A set of them, into and out of which each request goes, would leave behind dead tables in the
 * old generation that keep what they once held alive: that alone made most of the garbage collector's work.
 *
 * @param graceMs how long requests under way may take to be answered
 */
export function trackConnections(server: Server, graceMs: number): ConnectionTracker {
  const unused = new Set<Socket>();
  let underWay = 0;
  let isEnding = false;
  let onAnswered: (() => void) | undefined;
  server.on('connection', (socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  const [serve] = server.listeners('request') as [RequestListener];
  server.removeAllListeners('request').on('request', (request, response) => {
    unused.delete(request.socket);
    underWay += 1;
    response.once('close', () => {
      underWay -= 1;
      if (underWay === 0) onAnswered?.();
    });
    if (isEnding) refuse(response);
    else serve(request, response);
  });
  return {
    refuseNew: async () => {
      isEnding = true;
      if (underWay === 0) return;
      await new Promise<void>((resolve) => {
        onAnswered = resolve;
        setTimeout(resolve, graceMs).unref();
      });
    },
    end: () => {
      for (const socket of unused) socket.destroy();
      server.closeIdleConnections();
      const closing = setInterval(() => server.closeIdleConnections(), CLOSE_INTERVAL_MS).unref();
      server.once('close', () => clearInterval(closing));
      setTimeout(() => server.closeAllConnections(), graceMs).unref();
    },
  };
}

function refuse(response: ServerResponse): void {
  assignRequestId(response);
  response.setHeader('Connection', 'close');
  sendProblem(response, new Problem('service_unavailable', 'The service is being stopped.'));
}
