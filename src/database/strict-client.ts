import { Client } from 'pg';

const givenUp = 'Query read timeout';
const query: unknown = Reflect.get(Client.prototype, 'query');

/**
 * A client that gives its connection up together with a statement that was not answered in time. The driver alone would
 * give up only the statement: the connection would go back to the pool with its transaction still open, and what others
 * then wrote on it would be rolled back with it.
 */
export class StrictClient extends Client {}

StrictClient.prototype.query = function strictQuery(this: Client, ...parameters: unknown[]): unknown {
  const answer: unknown = Reflect.apply(query as () => unknown, this, parameters);
  if (answer instanceof Promise) {
    answer.catch((error: unknown) => {
      if (error instanceof Error && error.message === givenUp) void this.end();
    });
  }
  return answer;
} as Client['query'];
