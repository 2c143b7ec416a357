import { connect, type Socket } from 'node:net';

/** A connection on which anything can be sent, and what has come back on it. */
export interface Raw {
  readonly socket: Socket;
  received(): string;
  /** Milliseconds from the connection to its end; waits for that. */
  closed: Promise<number>;
}

export async function openRaw(url: string, text = ''): Promise<Raw> {
  const { port } = new URL(url);
  const startedAt = performance.now();
  const socket = connect({ port: Number(port), host: '127.0.0.1' });
  let received = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (received += chunk));
  socket.on('error', () => undefined);
  const closed = new Promise<number>((resolve) => socket.once('close', () => resolve(performance.now() - startedAt)));
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.write(text);
  return { socket, received: () => received, closed };
}
