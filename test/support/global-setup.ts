import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { migrate } from '../../src/database/migrate.js';
import { startEmbeddedPostgres } from '../../src/local/embedded-postgres.js';
import { queryAt } from './query-at.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** A server's URL whose database may be replaced by that of a test. */
    serverUrl: string;
    /** A migrated, empty database that test files clone. */
    template: string;
  }
}

/**
 * Brings up one PostgreSQL for the whole run, or takes the one that TEST_DATABASE_URL names, and migrates one database
 * that every test file clones.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { serverUrl, stop } = await startServer();
  const template = `airudder_template_${randomBytes(4).toString('hex')}`;
  await queryAt(serverUrl, `CREATE DATABASE ${template}`);
  const templateUrl = new URL(serverUrl);
  templateUrl.pathname = template;
  await migrate(templateUrl.href);
  project.provide('serverUrl', serverUrl);
  project.provide('template', template);
  return async () => {
    await queryAt(serverUrl, `DROP DATABASE ${template}`);
    await stop();
  };
}

async function startServer(): Promise<{ serverUrl: string; stop: () => Promise<void> }> {
  const given = process.env['TEST_DATABASE_URL'];
  if (given) {
    process.stdout.write(`Tests run against TEST_DATABASE_URL, PostgreSQL ${await versionOf(given)}\n`);
    return { serverUrl: given, stop: async () => undefined };
  }
  const directory = await mkdtemp(path.join(tmpdir(), 'airudder-test-'));
  // What this cluster holds is thrown away: it need not survive a power cut. Tests of durability start their own.
  const settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '200' };
  const postgres = await startEmbeddedPostgres(path.join(directory, 'postgres'), 'test', settings);
  const serverUrl = postgres.url('postgres');
  process.stdout.write(`Tests run against an embedded PostgreSQL ${await versionOf(serverUrl)}\n`);
  return {
    serverUrl,
    stop: async () => {
      await postgres.stop();
      await rm(directory, { recursive: true });
    },
  };
}

async function versionOf(url: string): Promise<string | undefined> {
  const [row] = await queryAt<{ server_version: string }>(url, 'SHOW server_version');
  return row?.server_version;
}
