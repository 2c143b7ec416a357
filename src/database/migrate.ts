import { Client } from 'pg';
import { DataSource, type Migration } from 'typeorm';
import { CONNECT_TIMEOUT_MS, dataSourceOptions } from './data-source.js';

/** Key of the advisory lock for migrations; an arbitrary constant. */
const MIGRATION_LOCK = 6_158_420_175;

/**
 * Migrates the tables. Several processes may call it at once on one database: the first one migrates, the others wait
 * and find nothing left to do.
 *
 * The lock has its own connection without a time limit, because migrations may take long and a pool might close an idle
 * connection. PostgreSQL releases the lock of a process that dies.
 *
 * @param signal ends the wait for the lock, but not a migration in progress
 * @returns the migrations that this call ran
 * @throws the error of PostgreSQL, with the failed migration rolled back
 */
export async function migrate(databaseUrl: string, signal?: AbortSignal): Promise<Migration[]> {
  const lock = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  lock.on('error', () => undefined); // a lost server fails the migration too
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
 * Advances positions by more than a server can count between a dump and its restore. New events then come after every
 * issued cursor and after every event of the dump.
 */
const ADVANCE_FEED_EPOCH = `
  UPDATE feed_clock
  SET server = system_identifier::text,
    ahead_by = (2 ^ 40)::bigint + greatest(ahead_by, removed_position, (SELECT max(position) FROM notifications))
  FROM pg_control_system()`;

/** A restore into another server restarts the transaction ids that feed positions derive from. */
async function advanceFeedEpochAfterRestore(dataSource: DataSource): Promise<void> {
  const [{ is_here } = { is_here: false }] = await dataSource.query<{ is_here: boolean }[]>(IS_ON_THIS_SERVER);
  if (!is_here) await dataSource.query(ADVANCE_FEED_EPOCH);
}

/** Encodings that hold any text; SQL_ASCII stores bytes unchecked. */
const ACCEPTED_ENCODINGS = new Set(['UTF8', 'SQL_ASCII']);

/** Rejects other encodings: text that they cannot hold would look like a fault of the sender. */
async function refuseOtherEncodings(client: Client): Promise<void> {
  const { rows } = await client.query<{ server_encoding: string }>('SHOW server_encoding');
  const encoding = rows[0]?.server_encoding ?? '';
  if (!ACCEPTED_ENCODINGS.has(encoding)) throw new Error(`the database's encoding is ${encoding}, but must be UTF8`);
}
