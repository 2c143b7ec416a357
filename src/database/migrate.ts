import { Client } from 'pg';
import { DataSource, type Migration } from 'typeorm';
import { CONNECT_TIMEOUT_MS, dataSourceOptions } from './data-source.js';

/** An arbitrary constant that names this service's migrations among a database's advisory locks. */
const MIGRATION_LOCK = 6_158_420_175;

/**
 * Brings the tables up to date. Any number of processes may call it at once on one database: the first one migrates,
 * the others wait for it and find nothing left to do.
 *
 * The lock belongs to a connection of its own, outside any pool that might close it as idle, and with no limit on time:
 * a migration may take long, and waiting for one longer. A process that dies gives the lock back.
 *
 * @param signal ends the wait for another process's migration, but no migration of this one
 * @returns the migrations that this call ran
 * @throws what PostgreSQL answered, with the failed migration rolled back
 */
export async function migrate(databaseUrl: string, signal?: AbortSignal): Promise<Migration[]> {
  const lock = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  lock.on('error', () => undefined); // losing it fails the migration itself too, which shares its server
  await lock.connect();
  try {
    await refuseOtherEncodings(lock);
    const stopWaiting = (): void => void lock.end();
    signal?.addEventListener('abort', stopWaiting);
    await lock.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    signal?.removeEventListener('abort', stopWaiting);
    return await runMigrations(databaseUrl);
  } finally {
    await lock.end();
  }
}

async function runMigrations(databaseUrl: string): Promise<Migration[]> {
  const options = dataSourceOptions(databaseUrl, { poolSize: 1 });
  const dataSource = await new DataSource(options).initialize();
  try {
    const migrations = await dataSource.runMigrations({ transaction: 'each' });
    await dataSource.query(WIND_FEED_CLOCK);
    return migrations;
  } finally {
    await dataSource.destroy();
  }
}

/**
 * A server into which the database was restored from a dump counts its transactions from the beginning: without this, its
 * feed would show nothing until it has caught up. The leap is larger than what any server counts between a dump and its
 * restore, so that the cursors given out meanwhile stay behind what is new too.
 */
const WIND_FEED_CLOCK = `
  UPDATE feed_clock
  SET ahead_by = newest.position + (2 ^ 40)::bigint
  FROM (
    SELECT position FROM notifications
    WHERE verdict IN ('first', 'changed') OR rewrites_past
    ORDER BY position DESC, id DESC
    LIMIT 1) AS newest
  WHERE newest.position >= ahead_by + pg_snapshot_xmax(pg_current_snapshot())::text::bigint`;

/** These hold any text: the second one because it takes bytes as they come. */
const FIT_ENCODINGS = new Set(['UTF8', 'SQL_ASCII']);

/** In another encoding our own trouble would look like a sender's fault. */
async function refuseOtherEncodings(client: Client): Promise<void> {
  const { rows } = await client.query<{ server_encoding: string }>('SHOW server_encoding');
  const encoding = rows[0]?.server_encoding ?? '';
  if (!FIT_ENCODINGS.has(encoding)) throw new Error(`the database's encoding is ${encoding}, but must be UTF8`);
}
