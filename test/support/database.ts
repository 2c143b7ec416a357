import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
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
  const client = new Client(url.href);
  client.on('error', () => undefined); // a test may end the server under it
  await client.connect();
  return {
    url: url.href,
    query: async <R extends object>(text: string, parameters?: unknown[]) =>
      (await client.query<R>(text, parameters)).rows,
    drop: async () => {
      await client.end();
      await queryAt(inject('serverUrl'), `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}
