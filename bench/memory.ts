import { readFile } from 'node:fs/promises';
import { run } from '../src/local/server-user.js';

const EVERY_MS = 200;

/** What a process held while it was looked at. */
export interface Memory {
  readonly firstMiB: number;
  readonly highestMiB: number;
  readonly lastMiB: number;
}

/** Looks at a process's resident memory until it is told to end. */
export function startMemorySampling(pid: number): { end(): Promise<Memory> } {
  const samples: number[] = [];
  let isLooking = false;
  const look = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    samples.push(await residentMiB(pid));
    isLooking = false;
  };
  const timer = setInterval(() => void look(), EVERY_MS);
  const began = look();
  return {
    end: async () => {
      clearInterval(timer);
      await began;
      samples.push(await residentMiB(pid));
      return { firstMiB: samples[0] ?? NaN, highestMiB: Math.max(...samples), lastMiB: samples.at(-1) ?? NaN };
    },
  };
}

async function residentMiB(pid: number): Promise<number> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    return Number(/VmRSS:\s*(\d+) kB/.exec(status)?.[1]) / 1024;
  } catch {
    return Number(await run('ps', ['-o', 'rss=', '-p', String(pid)])) / 1024;
  }
}
