import { mkdir, mkdtemp, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Client } from 'pg';
import { ConfigError } from '../config/config.js';
import { createDatabaseNamed, FIND_DATABASE } from './embedded-postgres.sql.js';
import { giveToServerUser, run, runAsServerUser } from './server-user.js';

const USER = 'airudder';
const DATABASE = 'airudder';
/** Creates no sockets in shared folders, and logs no error details, because they repeat the values of a row. */
const DEFAULT_SETTINGS = { unix_socket_directories: '', log_error_verbosity: 'terse' };

const START_TIMEOUT_S = 300; // crash recovery after a long run may take minutes
const STOP_TIMEOUT_S = 60;

/** A PostgreSQL server on a free port of 127.0.0.1. */
export interface EmbeddedPostgres {
  /** Returns the URL of a database, by default of `airudder`. */
  url(database?: string): string;
  /** Disconnects all clients, flushes to disk and stops the server. */
  stop(): Promise<void>;
}

/**
 * Starts a PostgreSQL 18 with its cluster in `directory`. The first call creates the cluster.
 *
 * The binaries come from the package `embedded-postgres`. Its launcher is not used: it ends the process on every
 * signal, and Ctrl-C would stop the database before the service. `pg_ctl` starts the server in its own session. The
 * server therefore survives a killed parent; the next start finds it by its pid file and stops it first. The caller
 * must hold the `DataDirLock`, so that two processes never use one directory.
 *
 * @param settings more lines for `postgresql.conf`, for example `fsync: 'off'` for a cluster that tests throw away
 */
export async function startEmbeddedPostgres(
  directory: string,
  password: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<EmbeddedPostgres> {
  await mkdir(path.dirname(directory), { recursive: true });
  const cluster = path.join(await realpath(path.dirname(directory)), path.basename(directory));
  refuseShellCharacters(cluster);
  const binaries = await loadBinaries();
  if (!(await isCluster(cluster))) await initialise(cluster, binaries, password);
  await endServer(cluster, binaries); // left behind by a killed service
  const port = settings['port'] ?? String(await findFreePort());
  await start(cluster, binaries, { ...settings, port, listen_addresses: '127.0.0.1' });
  const url = (database = DATABASE): string => `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`;
  await createDatabase(url('postgres'));
  return { url, stop: async () => endServer(cluster, binaries) };
}

interface Binaries {
  initdb: string;
  pg_ctl: string;
}

/** `pg_ctl` starts the server through a shell, between double quotes. */
function refuseShellCharacters(cluster: string): void {
  if (/["$`\\\n]/.test(cluster)) {
    throw new Error(
      `${cluster} cannot hold a PostgreSQL cluster: its path has a quote, a dollar sign, a backtick or a backslash in it`,
    );
  }
}

async function loadBinaries(): Promise<Binaries> {
  const require = createRequire(import.meta.url);
  try {
    const platform = process.platform === 'win32' ? 'windows' : process.platform;
    // Resolved from `embedded-postgres`, because only that package depends on it.
    const file = createRequire(require.resolve('embedded-postgres')).resolve(
      `@embedded-postgres/${platform}-${process.arch}`,
    );
    return (await import(pathToFileURL(file).href)) as Binaries;
  } catch {
    throw new ConfigError(
      'DATABASE_URL',
      `is not set, and there is no embedded PostgreSQL for ${process.platform}-${process.arch} in this install`,
    );
  }
}

async function isCluster(cluster: string): Promise<boolean> {
  return (await readOptional(path.join(cluster, 'PG_VERSION'))) !== undefined;
}

/**
 * Runs `initdb` in a draft folder and renames it. A killed process leaves no partial cluster, and an `initdb` that
 * survives it cannot disturb the next one.
 */
async function initialise(cluster: string, binaries: Binaries, password: string): Promise<void> {
  const drafts = `${cluster}-drafts`;
  await rm(drafts, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  await mkdir(drafts, { recursive: true });
  const draft = await mkdtemp(path.join(drafts, 'cluster-'));
  const passwordFile = `${draft}.password`;
  await writeFile(passwordFile, password, { mode: 0o600 });
  try {
    await giveToServerUser(draft, passwordFile);
    await runAsServerUser(binaries.initdb, [
      `--pgdata=${draft}`,
      `--username=${USER}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin', // the same on every machine, whatever locales that has
      '--builtin-locale=C.UTF-8',
    ]);
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rename(draft, cluster);
  await rm(drafts, { recursive: true });
}

/**
 * Stops the server of the cluster, and removes a stale pid file. The pid may belong to another program by now, so the
 * command line must name this cluster.
 */
async function endServer(cluster: string, binaries: Binaries): Promise<void> {
  const pid = await readPid(cluster);
  if (pid === undefined) return;
  if ((await commandLineOf(pid)).includes(cluster)) await stop(cluster, binaries);
  else await rm(path.join(cluster, 'postmaster.pid'));
}

async function readPid(cluster: string): Promise<number | undefined> {
  const pid = Number.parseInt((await readOptional(path.join(cluster, 'postmaster.pid'))) ?? '', 10);
  return Number.isNaN(pid) ? undefined : pid;
}

async function commandLineOf(pid: number): Promise<string> {
  if (process.platform === 'linux') return (await readOptional(`/proc/${pid}/cmdline`)) ?? '';
  return await run('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).catch(() => '');
}

async function start(cluster: string, binaries: Binaries, settings: Record<string, string>): Promise<void> {
  const lines = Object.entries({ ...DEFAULT_SETTINGS, ...settings }).map(([name, value]) => `${name} = '${value}'\n`);
  await writeFile(path.join(cluster, 'postgresql.auto.conf'), lines.join(''));
  const log = path.join(cluster, 'server.log');
  try {
    const options = [`--pgdata=${cluster}`, `--log=${log}`, '--wait', `--timeout=${START_TIMEOUT_S}`];
    await runAsServerUser(binaries.pg_ctl, ['start', ...options]);
  } catch {
    const tail = ((await readOptional(log)) ?? '').trimEnd().split('\n').slice(-5).join('\n');
    throw new Error(`${cluster} holds a PostgreSQL that did not start; the end of its server.log:\n${tail}`);
  }
}

async function stop(cluster: string, binaries: Binaries): Promise<void> {
  const options = [`--pgdata=${cluster}`, '--mode=fast', '--wait', `--timeout=${STOP_TIMEOUT_S}`];
  await runAsServerUser(binaries.pg_ctl, ['stop', ...options]);
}

async function createDatabase(url: string): Promise<void> {
  const client = new Client(url);
  await client.connect();
  try {
    const { rowCount } = await client.query(FIND_DATABASE, [DATABASE]);
    if (rowCount === 0) await client.query(createDatabaseNamed(DATABASE));
  } finally {
    await client.end();
  }
}

async function findFreePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function readOptional(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
