import { DataSource, type Migration } from 'typeorm';
import { dataSourceOptions } from './data-source.js';

/** An arbitrary constant that names this service's migrations among a database's advisory locks. */
const MIGRATION_LOCK = 6_158_420_175;

/**
 * Brings the tables up to date. Any number of processes may call it at once on one database: the first one migrates,
 * the others wait for it and find nothing left to do.
 *
 * It uses a connection of its own without a time limit: a migration may take long, and waiting for one longer. The lock
 * belongs to the session, so a process that dies gives it back.
 *
 * @returns the migrations that this call ran
 * @throws what PostgreSQL answered, with the failed migration rolled back
 */
export async function migrate(databaseUrl: string): Promise<Migration[]> {
  const options = dataSourceOptions(databaseUrl);
  const lockSource = await new DataSource({ ...options, migrations: [], extra: { max: 1 } }).initialize();
  try {
    await lockSource.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const dataSource = await new DataSource({ ...options, extra: { max: 1 } }).initialize();
    try {
      return await dataSource.runMigrations({ transaction: 'each' });
    } finally {
      await dataSource.destroy();
    }
  } finally {
    await lockSource.destroy();
  }
}
