import { randomBytes } from 'node:crypto';
import { Pool } from 'pg';
import { inject } from 'vitest';
import { queryAt } from './query-at.js';

export interface TestDatabase {
  readonly url: string;
  query<R extends object>(text: string, parameters?: unknown[]): Promise<R[]>;
  drop(): Promise<void>;
}

/** A database of the test file's own: a clone of the migrated template, or an empty one. */
export async function createDatabase({ empty = false } = {}): Promise<TestDatabase> {
  const name = `airudder_test_${randomBytes(6).toString('hex')}`;
  await queryAt(inject('serverUrl'), `CREATE DATABASE ${name} TEMPLATE ${empty ? 'template0' : inject('template')}`);
  const url = new URL(inject('serverUrl'));
  url.pathname = name;
  // One connection, so that a statement may leave something for the next; who asks at the same time waits in turn.
  const pool = new Pool({ connectionString: url.href, max: 1, idleTimeoutMillis: 0 });
  pool.on('error', () => undefined); // a test may end the server under it
  return {
    url: url.href,
    query: async <R extends object>(text: string, parameters?: unknown[]) =>
      (await pool.query<R>(text, parameters)).rows,
    drop: async () => {
      await pool.end();
      await queryAt(inject('serverUrl'), `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}
