import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { STOP } from './load-plan.js';

/** Tells the parent something. */
export function send(message: object): void {
  process.send?.(message);
}

/** A process of the bench ends with its parent, however that ends. */
export function endWithParent(): void {
  process.on('disconnect', () => process.exit());
  process.on('SIGINT', () => undefined); // from a terminal it goes to all: the parent ends its children in order
}

/** Fires when the parent says so, or is gone. */
export function stopOnMessage(): AbortSignal {
  const stopping = new AbortController();
  process.on('SIGINT', () => stopping.abort());
  process.on('disconnect', () => stopping.abort());
  process.on('message', (message) => {
    if (message === STOP) stopping.abort();
  });
  return stopping.signal;
}

/** Listens on a free port, tells the parent where, and ends with it. */
export function serve(server: Server): void {
  endWithParent();
  server.listen(0, '127.0.0.1', () => {
    send({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` });
  });
}
