import { Client, type ClientConfig } from 'pg';

const TIMEOUT_MESSAGE = 'Query read timeout';
const query: unknown = Reflect.get(Client.prototype, 'query');

/**
 * A client that closes its connection if a statement times out. The driver drops only the statement: the connection
 * would return to the pool with its transaction open, and a rollback would later undo the writes of other requests.
 *
 * It also adds an `error` listener, because the pool has none between checkout and first use. Without it, a connection
 * that the server closes at that moment would crash the process.
 */
export class TimeoutClient extends Client {
  constructor(config?: string | ClientConfig) {
    super(config);
    this.on('error', () => undefined); // the next statement fails, and the pool removes the client
  }
}

TimeoutClient.prototype.query = function strictQuery(this: Client, ...parameters: unknown[]): unknown {
  const answer: unknown = Reflect.apply(query as () => unknown, this, parameters);
  if (answer instanceof Promise) {
    answer.catch((error: unknown) => {
      if (error instanceof Error && error.message === TIMEOUT_MESSAGE) void this.end();
    });
  }
  return answer;
} as Client['query'];
