import { Client, type ClientConfig } from 'pg';

const givenUp = 'Query read timeout';
const query: unknown = Reflect.get(Client.prototype, 'query');

/**
 * A client that gives its connection up together with a statement that was not answered in time. The driver alone would
 * give up only the statement: the connection would go back to the pool with its transaction still open, and what others
 * then wrote on it would be rolled back with it.
 *
 * Nor does it end the process: between the pool and whoever it is handed to there is a moment in which nobody listens for
 * its errors, and a server may end a connection in the very packet that completes it.
 */
export class TimeoutClient extends Client {
  constructor(config?: string | ClientConfig) {
    super(config);
    this.on('error', () => undefined); // the next statement on it fails, and the pool lets it go
  }
}

TimeoutClient.prototype.query = function strictQuery(this: Client, ...parameters: unknown[]): unknown {
  const answer: unknown = Reflect.apply(query as () => unknown, this, parameters);
  if (answer instanceof Promise) {
    answer.catch((error: unknown) => {
      if (error instanceof Error && error.message === givenUp) void this.end();
    });
  }
  return answer;
} as Client['query'];
