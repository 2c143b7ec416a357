import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Keeps count of a server's connections, so that it can be closed without waiting for those on which nothing is under
 * way: a browser opens some in advance, and one that never sends would hold up the end.
 *
 * @param graceMs how long requests under way may take to be answered
 * @returns to be called when the server is being closed: ends the quiet connections at once, all others after `graceMs`
 */
export function trackConnections(server: Server, graceMs: number): () => void {
  const quiet = new Set<Socket>();
  server.on('connection', (socket) => {
    quiet.add(socket);
    socket.once('close', () => quiet.delete(socket));
  });
  server.on('request', ({ socket }, response) => {
    quiet.delete(socket);
    response.once('close', () => {
      if (!socket.destroyed) quiet.add(socket);
    });
  });
  return () => {
    for (const socket of quiet) socket.destroy();
    setTimeout(() => server.closeAllConnections(), graceMs).unref();
  };
}
