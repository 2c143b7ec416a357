import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { startArguments } from '../../scripts/start-arguments.js';

const START_TIMEOUT_MS = 60_000;

/** The built service as a process of its own, as `npm start` runs it. */
export interface ServiceProcess {
  readonly pid: number;
  /** All that it has printed so far, on both streams. */
  output(): string;
  /** Waits until it listens, and returns where. */
  ready(): Promise<string>;
  kill(signal: NodeJS.Signals): void;
  /** Waits for its end; null if a signal ended it. */
  exitCode(): Promise<number | null>;
}

/** Starts it with these settings and no others: an `.env` of the checkout is not read, as it runs in `dataDir`. */
export function spawnService(settings: Readonly<Record<string, string>>, directory: string): ServiceProcess {
  return watch(
    spawn(process.execPath, startArguments(), {
      cwd: directory,
      env: { PATH: process.env['PATH'], PORT: '0', ...settings },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
}

function watch(child: ChildProcess): ServiceProcess {
  let output = '';
  const exit = once(child, 'exit');
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return {
    pid: child.pid ?? 0,
    output: () => output,
    ready: async () => {
      const deadline = Date.now() + START_TIMEOUT_MS;
      while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
        const url = /"message":"ready".*"url":"([^"]+)"/.exec(output)?.[1];
        if (url !== undefined) return url;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      throw new Error(`the service did not start:\n${output}`);
    },
    kill: (signal) => child.kill(signal),
    exitCode: async () => ((await exit) as [number | null])[0],
  };
}
