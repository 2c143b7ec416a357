import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startArguments } from '../scripts/start-arguments.js';
import type { LoadPlan, LoadResult } from './load-plan.js';

/** All processes have the same environment and nothing of the caller's. */
const ENVIRONMENT = { NODE_ENV: 'production' };
const START_TIMEOUT_MS = 60_000;
const END_TIMEOUT_MS = 20_000;

/** A process that answers requests. */
export interface Serving {
  readonly pid: number;
  readonly url: string;
  stop(): Promise<void>;
}

/** A process that works for a while and tells what came of it. */
export interface Working<T> {
  readonly result: Promise<T>;
  /** Has it end early. */
  stop(): void;
  /** Ends it as it is. */
  kill(): void;
}

/** Starts a program of this folder that serves. */
export async function startServing(program: string, ...args: string[]): Promise<Serving> {
  return serving(program, forkProgram(program, args));
}

/** The same, with the flags for Node.js that the service is started with. */
export async function startServingAlike(program: string, ...args: string[]): Promise<Serving> {
  const flags = startArguments().filter((argument) => argument.startsWith('--'));
  return serving(program, forkProgram(program, args, flags));
}

async function serving(program: string, child: ChildProcess): Promise<Serving> {
  const { url } = await firstMessage<{ url: string }>(program, child);
  return { pid: child.pid ?? 0, url, stop: async () => end(child) };
}

/** Starts a program of this folder that ends by itself. */
export function startWorking<T>(program: string, ...args: string[]): Working<T> {
  const child = forkProgram(program, args);
  return {
    result: firstMessage<T>(program, child),
    stop: () => child.connected && child.send('stop'),
    kill: () => child.kill('SIGKILL'),
  };
}

/** Sends notifications from a process of its own. */
export function startLoad(plan: LoadPlan): Working<LoadResult> {
  return startWorking<LoadResult>('load', JSON.stringify(plan));
}

/** Starts the service as it is run in earnest, and waits until it says that it is ready. */
export async function startService(databaseUrl: string, dataDir: string): Promise<Serving> {
  const log = await open(path.join(dataDir, 'service.log'), 'a');
  const child = spawn(process.execPath, startArguments(), {
    cwd: dataDir, // an `.env` of the checkout is not read
    env: {
      ...ENVIRONMENT,
      DATABASE_URL: databaseUrl,
      DATA_DIR: dataDir,
      PORT: '0',
      WEBHOOK_TOKENS: 'bench',
      API_KEYS: 'bench:read:nothing',
      RATE_LIMIT_PER_KEY: '0', // one key and one address ask for all
      RATE_LIMIT_PER_ADDRESS: '0',
    },
    stdio: ['ignore', 'pipe', log.fd],
  });
  await log.close();
  started.add(child);
  const baseUrl = await readyUrl(child).catch(async (error: unknown) => {
    throw new Error(`${(error as Error).message}: ${await readFile(path.join(dataDir, 'service.log'), 'utf8')}`);
  });
  const url = `${baseUrl}/webhooks/airudder/bench/workflow-list-completion`;
  return { pid: child.pid ?? 0, url, stop: async () => end(child) };
}

const started = new Set<ChildProcess>();

/** For an end at once: whatever still runs. */
export function killChildren(): void {
  for (const child of started) child.kill('SIGKILL');
}

function forkProgram(program: string, args: string[], execArgv: string[] = []): ChildProcess {
  const child = fork(fileURLToPath(new URL(`${program}.js`, import.meta.url)), args, { env: ENVIRONMENT, execArgv });
  started.add(child);
  child.once('exit', () => started.delete(child));
  return child;
}

async function firstMessage<T>(program: string, child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as T));
    child.once('exit', (code, signal) => reject(new Error(`${program} ended with ${code ?? signal}`)));
  });
}

/** What it prints later is read too, and dropped: nobody may have to wait for a full pipe. */
async function readyUrl(child: ChildProcess): Promise<string> {
  let output = '';
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the service was not ready in time')), START_TIMEOUT_MS);
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      if (output.length < 100_000) output += chunk;
      const url = /"message":"ready".*"url":"([^"]+)"/.exec(output)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      resolve(url);
    });
    child.once('exit', (code) => reject(new Error(`the service ended with ${code}`)));
  });
}

async function end(child: ChildProcess): Promise<void> {
  started.delete(child);
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
  await exit;
  clearTimeout(timer);
}
