import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { migrate } from '../src/database/migrate.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/local/embedded-postgres.js';

/** Durable as PostgreSQL is by default. Checkpoints are put off, so that none decides a round by falling into it. */
const SETTINGS = { max_wal_size: '4GB', checkpoint_timeout: '1h', max_connections: '200' };

/** A PostgreSQL of this run alone, in a folder that is removed with it, or that was named to be kept. */
export interface Cluster {
  /** A folder of its own for a process. */
  makeFolder(name: string): Promise<string>;
  readonly postgresFolder: string;
  /** The migrated database, or another one of the given name. */
  url(database?: string): string;
  /** Makes a database that holds what the migrated one does. Nobody may be connected to that. */
  clone(name: string): Promise<string>;
  /** Starts the server again after it was killed, on the same port. */
  restart(): Promise<void>;
  remove(): Promise<void>;
}

export async function startCluster(settings: Readonly<Record<string, string>>, kept?: string): Promise<Cluster> {
  const folder = kept ?? (await mkdtemp(path.join(tmpdir(), 'airudder-bench-')));
  const postgresFolder = path.join(folder, 'postgres');
  const start = async (more = {}): Promise<EmbeddedPostgres> =>
    startEmbeddedPostgres(postgresFolder, 'bench', { ...SETTINGS, ...settings, ...more });
  let postgres = await start();
  await migrate(postgres.url());
  return {
    makeFolder: async (name) => {
      const made = path.join(folder, name);
      await mkdir(made, { recursive: true });
      return made;
    },
    postgresFolder,
    url: (database) => postgres.url(database),
    clone: async (name) => {
      await query(postgres.url('postgres'), `CREATE DATABASE ${name} TEMPLATE airudder STRATEGY FILE_COPY`);
      return postgres.url(name);
    },
    restart: async () => {
      postgres = await start({ port: new URL(postgres.url()).port });
    },
    remove: async () => {
      await postgres.stop();
      if (kept === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The rows of one statement on a connection of its own. */
export async function query<R extends object>(databaseUrl: string, text: string): Promise<R[]> {
  const client = new Client(databaseUrl);
  await client.connect();
  try {
    return (await client.query<R>(text)).rows;
  } finally {
    await client.end();
  }
}

/** How many notifications are stored, those of the plain inserts left out. */
export async function countNotifications(databaseUrl: string): Promise<number> {
  const text = `SELECT count(*)::integer AS count FROM notifications WHERE kind <> 'bench'`;
  const [row] = await query<{ count: number }>(databaseUrl, text);
  return row?.count ?? 0;
}
