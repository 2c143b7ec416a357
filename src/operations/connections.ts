import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Keeps count of a server's connections, so that it can be closed without waiting for those on which nothing is under
 * way: a browser opens some in advance, and one that never sends would hold up the end.
 *
 * The answers to requests under way are the last ones on their connections, else a busy client would never let go.
 *
 * @param graceMs how long requests under way may take to be answered
 * @returns to be called when the server is being closed: ends the quiet connections at once, all others after `graceMs`
 */
export function trackConnections(server: Server, graceMs: number): () => void {
  const quiet = new Set<Socket>();
  const underWay = new Set<ServerResponse>();
  let isClosing = false;
  server.on('connection', (socket) => {
    quiet.add(socket);
    socket.once('close', () => quiet.delete(socket));
  });
  // First of all, so that the header is set before anybody answers.
  server.prependListener('request', ({ socket }, response) => {
    quiet.delete(socket);
    underWay.add(response);
    if (isClosing) response.setHeader('Connection', 'close');
    response.once('close', () => {
      underWay.delete(response);
      if (!socket.destroyed) quiet.add(socket);
    });
  });
  return () => {
    isClosing = true;
    for (const response of underWay) if (!response.headersSent) response.setHeader('Connection', 'close');
    for (const socket of quiet) socket.destroy();
    setTimeout(() => server.closeAllConnections(), graceMs).unref();
  };
}
