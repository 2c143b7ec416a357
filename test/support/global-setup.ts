import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { migrate } from '../../src/database/migrate.js';
import { startEmbeddedPostgres } from '../../src/local/embedded-postgres.js';
import { CLUSTER_PASSWORD, copyFolder } from './cluster.js';
import { queryAt } from './query-at.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** A server's URL whose database may be replaced by that of a test. */
    serverUrl: string;
    /** A migrated, empty database that test files clone. */
    template: string;
    /** A stopped cluster that test files with a server of their own copy. */
    cluster: string;
  }
}

/**
 * Makes one cluster that test files copy unless TEST_CLUSTER names one, starts a copy of it for the whole run unless TEST_DATABASE_URL names a server,
 * and migrates one database that every test file clones.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(path.join(tmpdir(), 'airudder-test-'));
  const cluster = process.env['TEST_CLUSTER'] ?? (await makeCluster(path.join(directory, 'cluster')));
  const { serverUrl, stop } = await startServer(cluster, path.join(directory, 'postgres'));
  const template = `airudder_template_${randomBytes(4).toString('hex')}`;
  await queryAt(serverUrl, `CREATE DATABASE ${template}`);
  const templateUrl = new URL(serverUrl);
  templateUrl.pathname = template;
  await migrate(templateUrl.href);
  project.provide('serverUrl', serverUrl);
  project.provide('template', template);
  project.provide('cluster', cluster);
  return async () => {
    await queryAt(serverUrl, `DROP DATABASE ${template}`);
    await stop();
    await rm(directory, { recursive: true });
  };
}

async function makeCluster(directory: string): Promise<string> {
  await (await startEmbeddedPostgres(directory, CLUSTER_PASSWORD)).stop();
  return directory;
}

async function startServer(
  cluster: string,
  directory: string,
): Promise<{ serverUrl: string; stop: () => Promise<void> }> {
  const given = process.env['TEST_DATABASE_URL'];
  if (given) {
    process.stdout.write(`Tests run against TEST_DATABASE_URL, PostgreSQL ${await versionOf(given)}\n`);
    return { serverUrl: given, stop: async () => undefined };
  }
  await copyFolder(cluster, directory);
  // What this cluster holds is thrown away: it need not survive a power cut. Tests of durability start their own.
  const settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '200' };
  const postgres = await startEmbeddedPostgres(directory, CLUSTER_PASSWORD, settings);
  const serverUrl = postgres.url('postgres');
  process.stdout.write(`Tests run against an embedded PostgreSQL ${await versionOf(serverUrl)}\n`);
  return { serverUrl, stop: async () => postgres.stop() };
}

async function versionOf(url: string): Promise<string | undefined> {
  const [row] = await queryAt<{ server_version: string }>(url, 'SHOW server_version');
  return row?.server_version;
}
