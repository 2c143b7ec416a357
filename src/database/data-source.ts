import type { DataSourceOptions } from 'typeorm';
import { CreateTables1795305600000 } from '../../migrations/1795305600000-create-tables.js';
import { DropForeignKeys1795392000000 } from '../../migrations/1795392000000-drop-foreign-keys.js';
import { AddChangeFeed1795478400000 } from '../../migrations/1795478400000-add-change-feed.js';
import { AddQuarantineTool1795564800000 } from '../../migrations/1795564800000-add-quarantine-tool.js';
import { AddErasureAndRetention1795651200000 } from '../../migrations/1795651200000-add-erasure-and-retention.js';
import { AddAudit1795737600000 } from '../../migrations/1795737600000-add-audit.js';
import { entities } from './entities.js';
import { driverWithReplicas } from './replica-pool.js';
import { TimeoutClient } from './timeout-client.js';

/** Every migration, oldest first. An explicit list is the same in a build, a test and a container. */
const migrations = [
  CreateTables1795305600000,
  DropForeignKeys1795392000000,
  AddChangeFeed1795478400000,
  AddQuarantineTool1795564800000,
  AddErasureAndRetention1795651200000,
  AddAudit1795737600000,
];

export const CONNECT_TIMEOUT_MS = 5_000;

/** Name of the data source that reads. The data source that writes has the default name. */
export const QUERY = 'query';

/** Application name of the ingest connections in `pg_stat_activity`. */
const INGEST_NAME = 'airudder-notifications: door';

interface Pool {
  readonly name?: string;
  readonly poolSize: number;
  /** The server cancels a statement that takes longer; undefined: no limit. */
  readonly statementTimeoutMs?: number;
  /** Plans each statement once for all parameters: right for arrays, wrong for filters. */
  readonly hasGenericPlans?: boolean;
}

/** The ingest path has its own pool, so that slow reads cannot block it. */
export const INGEST_POOL: Pool = { name: INGEST_NAME, poolSize: 10, statementTimeoutMs: 15_000, hasGenericPlans: true };
export const QUERY_POOL: Pool = { name: 'airudder-notifications: readers', poolSize: 10, statementTimeoutMs: 30_000 };

/** Time after the server's limit until the client gives up a statement, in case the server does not respond. */
const GRACE_MS = 2_000;

/** No healthy transaction is idle. An idle one belongs to a process that hangs or died, and holds locks on cases. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 5_000;

/**
 * Options of a data source for PostgreSQL 14 or later.
 *
 * @param replicaUrls servers for query runners of mode `slave`; the default mode uses the primary
 */
export function dataSourceOptions(
  databaseUrl: string,
  { name = 'airudder-notifications', poolSize, statementTimeoutMs, hasGenericPlans }: Pool,
  replicaUrls: readonly string[] = [],
): DataSourceOptions {
  const master = { url: databaseUrl };
  const slaves = replicaUrls.map((url) => ({ url }));
  return {
    type: 'postgres',
    ...(slaves.length === 0
      ? master
      : { replication: { master, slaves, defaultMode: 'master' }, driver: driverWithReplicas(replicaUrls) }),
    applicationName: name,
    entities,
    migrations,
    migrationsTableName: 'migrations',
    synchronize: false,
    logging: false,
    installExtensions: false,
    extra: {
      max: poolSize,
      Client: TimeoutClient,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
      keepAlive: true,
      ...(hasGenericPlans && { options: '-c plan_cache_mode=force_generic_plan' }),
      ...(statementTimeoutMs !== undefined && {
        statement_timeout: statementTimeoutMs,
        query_timeout: statementTimeoutMs + GRACE_MS,
      }),
    },
  };
}
