import { Client } from 'pg';
import type { TestDatabase } from './database.js';

/** Runs statements in a transaction that stays open. @returns a function that commits the transaction */
export async function hold(database: TestDatabase, ...statements: string[]): Promise<() => Promise<void>> {
  const client = new Client(database.url);
  client.on('error', () => undefined); // a test that fails drops the database under it
  await client.connect();
  for (const statement of ['BEGIN', ...statements]) await client.query(statement);
  return async () => {
    await client.query('COMMIT');
    await client.end();
  };
}

/** The number of sessions of the database that wait for a lock. */
export async function countBlocked(database: TestDatabase): Promise<number> {
  const blocked = await database.query(
    `SELECT FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'
      AND cardinality(pg_blocking_pids(pid)) > 0`,
  );
  return blocked.length;
}
