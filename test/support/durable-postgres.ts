import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/local/embedded-postgres.js';
import { run } from '../../src/local/server-user.js';
import { CLUSTER_PASSWORD, copyCluster } from './cluster.js';
import { queryAt } from './query-at.js';

const USER = 'airudder';
const START_ATTEMPTS = 40;

/**
 * A PostgreSQL with the durable settings that it has by default, which can be killed, paused and started again where it
 * was. Its port lies below those that systems give to clients: else a connection attempt while it is away could take it.
 */
export class DurablePostgres {
  #paused: number[] = [];
  #isUp = false;
  #server: EmbeddedPostgres | undefined;

  private constructor(
    private readonly cluster: string,
    private readonly port: number,
    private readonly settings: Readonly<Record<string, string>> = {},
  ) {}

  /** @param directory where the cluster's folder is made */
  static async make(directory: string): Promise<DurablePostgres> {
    const postgres = new DurablePostgres(path.join(directory, 'postgres'), await findQuietPort());
    await copyCluster(postgres.cluster);
    await postgres.start();
    return postgres;
  }

  /** A hot standby that follows this one by streaming. This one is stopped for a moment, so that it can be copied. */
  async makeStandby(name: string, settings: Readonly<Record<string, string>> = {}): Promise<DurablePostgres> {
    const cluster = path.join(path.dirname(this.cluster), name);
    const primary = `host=127.0.0.1 port=${this.port} user=${USER} password=${CLUSTER_PASSWORD}`;
    const standby = new DurablePostgres(cluster, await findQuietPort(), { primary_conninfo: primary, ...settings });
    await this.stop();
    await run('cp', ['-a', this.cluster, cluster]);
    await writeFile(path.join(cluster, 'standby.signal'), '');
    await this.start();
    await standby.start();
    return standby;
  }

  url(database: string): string {
    return `postgres://${USER}:${CLUSTER_PASSWORD}@127.0.0.1:${this.port}/${database}`;
  }

  /** A new and empty database: what starts on it migrates it. */
  async createDatabase(): Promise<string> {
    const name = `faults_${randomBytes(6).toString('hex')}`;
    await this.query('postgres', `CREATE DATABASE ${name}`);
    return this.url(name);
  }

  /** Ends every process of the server at once, without a word to anybody. */
  async kill(): Promise<void> {
    this.#isUp = false;
    const postmaster = await this.postmaster();
    process.kill(postmaster, 'SIGSTOP'); // it neither starts nor replaces a child from here on
    for (const pid of [...(await childrenOf(postmaster)), postmaster]) signal(pid, 'SIGKILL');
    this.#paused = [];
  }

  /** What PostgreSQL calls an immediate shutdown: clients are told, nothing is written down. */
  async shutDownAtOnce(): Promise<void> {
    this.#isUp = false;
    process.kill(await this.postmaster(), 'SIGQUIT');
  }

  /** Nobody is answered any more, and nobody is told. */
  async pause(): Promise<void> {
    const postmaster = await this.postmaster();
    process.kill(postmaster, 'SIGSTOP');
    this.#paused = [postmaster, ...(await childrenOf(postmaster))];
    for (const pid of this.#paused) signal(pid, 'SIGSTOP');
  }

  resume(): void {
    for (const pid of this.#paused.splice(0).toReversed()) signal(pid, 'SIGCONT');
  }

  /** Disconnects everybody, and writes everything down. */
  async stop(): Promise<void> {
    this.#isUp = false;
    await this.#server?.stop();
  }

  /** What a killed server leaves may be in the way for a moment. */
  async start(): Promise<void> {
    if (this.#isUp) return;
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.#server = await startEmbeddedPostgres(this.cluster, CLUSTER_PASSWORD, {
          ...this.settings,
          port: String(this.port),
        });
        this.#isUp = true;
        return;
      } catch (error) {
        if (attempt === START_ATTEMPTS) throw error;
        await sleep(250);
      }
    }
  }

  async remove(): Promise<void> {
    await this.kill().catch(() => undefined); // it may be dead already
    await rm(this.cluster, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  async query<R extends object>(database: string, text: string): Promise<R[]> {
    return queryAt<R>(this.url(database), text);
  }

  private async postmaster(): Promise<number> {
    return Number.parseInt(await readFile(path.join(this.cluster, 'postmaster.pid'), 'utf8'), 10);
  }
}

async function findQuietPort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** Each backend is a session of its own, so no process group holds them together. */
async function childrenOf(parent: number): Promise<number[]> {
  const lines = process.platform === 'linux' ? await readParents() : await run('ps', ['-axo', 'pid=,ppid=']);
  const pairs = lines.split('\n').map((line) => line.trim().split(/\s+/).map(Number));
  return pairs.flatMap(([pid, ppid]) => (ppid === parent && pid !== undefined ? [pid] : []));
}

async function readParents(): Promise<string> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = pids.map(async (pid) => {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''); // it may have ended
    return `${pid} ${/^PPid:\s*(\d+)/m.exec(status)?.[1] ?? ''}`;
  });
  return (await Promise.all(lines)).join('\n');
}

/** A process may have ended meanwhile. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
