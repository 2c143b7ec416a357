import type { RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Problem } from '../http/problem.js';
import { assignRequestId } from '../http/request.js';
import { sendProblem } from '../http/send-problem.js';

/** A server's way to its end. */
export interface Connections {
  /** Answers new requests with `503` from now on, and returns when those under way are answered, or the time is up. */
  refuseNew(): Promise<void>;
  /** Ends all connections on which nothing is under way at once, and the others when they are answered, or the time is up. */
  end(): void;
}

/**
 * Keeps count of a server's connections, so that it can be closed without waiting for those on which nothing is under
 * way: a browser opens some in advance, and one that never sends would hold up the end.
 *
 * The answers to requests under way are the last ones on their connections, else a busy client would never let go.
 *
 * @param graceMs how long requests under way may take to be answered
 */
export function trackConnections(server: Server, graceMs: number): Connections {
  const quiet = new Set<Socket>();
  const underWay = new Set<ServerResponse>();
  let isEnding = false;
  let onAnswered: (() => void) | undefined;
  server.on('connection', (socket) => {
    quiet.add(socket);
    socket.once('close', () => quiet.delete(socket));
  });
  const [serve] = server.listeners('request') as [RequestListener];
  server.removeAllListeners('request').on('request', (request, response) => {
    const { socket } = request;
    quiet.delete(socket);
    underWay.add(response);
    response.once('close', () => {
      underWay.delete(response);
      if (!socket.destroyed) quiet.add(socket);
      if (underWay.size === 0) onAnswered?.();
    });
    if (isEnding) refuse(response);
    else serve(request, response);
  });
  return {
    refuseNew: async () => {
      isEnding = true;
      for (const response of underWay) if (!response.headersSent) response.setHeader('Connection', 'close');
      if (underWay.size === 0) return;
      await new Promise<void>((resolve) => {
        onAnswered = resolve;
        setTimeout(resolve, graceMs).unref();
      });
    },
    end: () => {
      for (const socket of quiet) socket.destroy();
      setTimeout(() => server.closeAllConnections(), graceMs).unref();
    },
  };
}

function refuse(response: ServerResponse): void {
  assignRequestId(response);
  response.setHeader('Connection', 'close');
  sendProblem(response, new Problem('service_unavailable', 'The service is being stopped.'));
}
