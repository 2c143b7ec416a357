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

/** Every migration, oldest first: named here so that a build, a test and a container all see the same list. */
const migrations = [
  CreateTables1795305600000,
  DropForeignKeys1795392000000,
  AddChangeFeed1795478400000,
  AddQuarantineTool1795564800000,
  AddErasureAndRetention1795651200000,
  AddAudit1795737600000,
];

export const CONNECT_TIMEOUT_MS = 5_000;

/** The name of the data source that reads. The other one, which writes, has the default name. */
export const QUERY = 'query';

/** What the connections are called in PostgreSQL's own views. */
const INGEST_NAME = 'airudder-notifications: door';

interface Pool {
  readonly name?: string;
  readonly poolSize: number;
  /** The server cancels a statement that takes longer; none: it may take as long as it wants. */
  readonly statementTimeoutMs?: number;
  /** Whether statements are planned once for all parameters: right where they are arrays, wrong for filters. */
  readonly hasGenericPlans?: boolean;
}

/** The door has connections of its own, so that no number of slow reads can close it. */
export const INGEST_POOL: Pool = { name: INGEST_NAME, poolSize: 10, statementTimeoutMs: 15_000, hasGenericPlans: true };
export const QUERY_POOL: Pool = { name: 'airudder-notifications: readers', poolSize: 10, statementTimeoutMs: 30_000 };

/** How long after the server's own limit the client gives a statement up, should the server not answer at all. */
const GRACE_MS = 2_000;

/** A transaction here is never idle: one that is belongs to a process that hangs or is gone, and holds locks on cases. */
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 5_000;

/**
 * How this service connects to PostgreSQL (14 or later).
 *
 * @param replicaUrls where a query runner of the mode `slave` reads; one that says nothing reads the primary
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
