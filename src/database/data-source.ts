import type { DataSourceOptions } from 'typeorm';
import { CreateTables1795305600000 } from '../../migrations/1795305600000-create-tables.js';
import { entities } from './entities.js';

/** Every migration, oldest first: named here so that a build, a test and a container all see the same list. */
const migrations = [CreateTables1795305600000];

const POOL_SIZE = 10;
const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 15_000;

/**
 * How this service connects to PostgreSQL (14 or later). A statement that takes longer than 15 s is cancelled by the
 * server, and given up by the client a little later should the server not answer at all.
 */
export function dataSourceOptions(databaseUrl: string): DataSourceOptions {
  return {
    type: 'postgres',
    url: databaseUrl,
    applicationName: 'airudder-notifications',
    entities,
    migrations,
    migrationsTableName: 'migrations',
    synchronize: false,
    logging: false,
    installExtensions: false,
    extra: {
      max: POOL_SIZE,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      query_timeout: STATEMENT_TIMEOUT_MS + 2_000,
    },
  };
}
