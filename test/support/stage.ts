import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect } from 'vitest';
import { POLL } from './chaos.js';
import { DurablePostgres } from './durable-postgres.js';
import { type ServiceProcess, spawnService } from './process.js';
import { type Answer, send, TOKEN, UNLIMITED } from './service.js';
import { type Compose, Traffic } from './traffic.js';

const READY = { status: 'ready', postgres: 'up', spool: 'empty', spooled: 0, quarantine: 'ok' };

/** Everything that a test of faults starts, so that nothing of it stays. */
export class FaultHarness {
  #running: ServiceProcess[] = [];
  #traffic: Traffic[] = [];
  #afterwards: (() => Promise<void>)[] = [];

  private constructor(
    readonly directory: string,
    readonly postgres: DurablePostgres,
  ) {}

  static async create(): Promise<FaultHarness> {
    const directory = await mkdtemp(path.join(tmpdir(), 'airudder-faults-'));
    return new FaultHarness(directory, await DurablePostgres.make(directory));
  }

  /** A new folder. */
  async folder(): Promise<string> {
    return mkdtemp(path.join(this.directory, 'data-'));
  }

  /** Starts the service on a database and a folder, which it may share with others or have had before. */
  async startService(databaseUrl: string, dataDir: string, settings: Record<string, string> = {}): Promise<Booted> {
    await mkdir(dataDir, { recursive: true });
    const required = { DATABASE_URL: databaseUrl, DATA_DIR: dataDir, WEBHOOK_TOKENS: TOKEN, API_KEYS: 'all:read:key' };
    const process = spawnService({ ...required, ...UNLIMITED, ...settings }, dataDir);
    this.#running.push(process);
    return { process, url: await process.ready() };
  }

  traffic(urls: readonly string[], compose?: Compose): Traffic {
    const traffic = new Traffic(urls, compose);
    this.#traffic.push(traffic);
    return traffic;
  }

  /** What is to be done when the processes of this test are gone: the last one first. */
  onCleanup(work: () => Promise<void>): void {
    this.#afterwards.push(work);
  }

  /** Ends what a test has started, however it went. PostgreSQL is there for the next one. */
  async clear(): Promise<void> {
    for (const process of this.#running) process.kill('SIGKILL');
    await Promise.all(this.#running.splice(0).map(async (process) => process.exitCode()));
    for (const traffic of this.#traffic) traffic.close();
    await Promise.all(this.#traffic.splice(0).map(async (traffic) => traffic.stop()));
    for (const work of this.#afterwards.splice(0).toReversed()) await work();
    this.postgres.resume();
    await this.postgres.start();
  }

  async strike(): Promise<void> {
    await this.postgres.remove();
    await rm(this.directory, { recursive: true, force: true });
  }
}

export interface Booted {
  readonly process: ServiceProcess;
  readonly url: string;
}

/** Waits until everything that was accepted is in PostgreSQL. */
export async function awaitDrained(...urls: string[]): Promise<void> {
  for (const url of urls) await expect.poll(async () => (await readiness(url)).body, POLL).toEqual(READY);
}

export async function readiness(url: string): Promise<Answer> {
  return send(`${url}/health/ready`);
}

/** The value of one of the service's metrics. */
export async function metric(url: string, name: string): Promise<number> {
  const { text } = await send(`${url}/metrics`);
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length));
}

/** Kills it as nobody expects. */
export async function killHard({ process }: Booted): Promise<void> {
  process.kill('SIGKILL');
  expect(await process.exitCode()).toBeNull();
}
