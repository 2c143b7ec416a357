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
    await advanceFeedEpochAfterRestore(dataSource);
    return migrations;
  } finally {
    await dataSource.destroy();
  }
}

const IS_ON_THIS_SERVER = `
  SELECT EXISTS (SELECT FROM feed_clock, pg_control_system() WHERE server = system_identifier::text) AS is_here`;

/**
 * A leap that no server counts between a dump and its restore: all cursors given out before lie behind what is new, and so does
 * everything that the dump brought.
 */
const ADVANCE_FEED_EPOCH = `
  UPDATE feed_clock
  SET server = system_identifier::text,
    ahead_by = (2 ^ 40)::bigint + greatest(ahead_by, removed_position, (SELECT max(position) FROM notifications))
  FROM pg_control_system()`;

/** A server into which the database was restored from a dump counts its transactions from the beginning. */
async function advanceFeedEpochAfterRestore(dataSource: DataSource): Promise<void> {
  const [{ is_here } = { is_here: false }] = await dataSource.query<{ is_here: boolean }[]>(IS_ON_THIS_SERVER);
  if (!is_here) await dataSource.query(ADVANCE_FEED_EPOCH);
}

/** These hold any text: the second one because it takes bytes as they come. */
const FIT_ENCODINGS = new Set(['UTF8', 'SQL_ASCII']);

/** In another encoding our own trouble would look like a sender's fault. */
async function refuseOtherEncodings(client: Client): Promise<void> {
  const { rows } = await client.query<{ server_encoding: string }>('SHOW server_encoding');
  const encoding = rows[0]?.server_encoding ?? '';
  if (!FIT_ENCODINGS.has(encoding)) throw new Error(`the database's encoding is ${encoding}, but must be UTF8`);
}
