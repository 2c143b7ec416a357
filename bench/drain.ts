import { setTimeout as sleep } from 'node:timers/promises';

const EVERY_MS = 50;

/** How the spool went empty, counted from when PostgreSQL answered again. */
export interface Drain {
  /** Most that were waiting at once. */
  readonly waiting: number;
  readonly secondsUntilItFell: number;
  readonly secondsUntilEmpty: number;
}

/** @throws Error if it is not empty in time */
export async function awaitDrained(doorUrl: string, timeoutS: number): Promise<Drain> {
  const startedAt = performance.now();
  const elapsed = (): number => (performance.now() - startedAt) / 1000;
  let waiting = 0;
  let secondsUntilItFell = 0;
  while (elapsed() < timeoutS) {
    const now = await readSpooled(doorUrl);
    if (now === 0) return { waiting, secondsUntilItFell, secondsUntilEmpty: elapsed() };
    if (now >= waiting) {
      waiting = now;
      secondsUntilItFell = elapsed();
    }
    await sleep(EVERY_MS);
  }
  throw new Error(`the spool was not empty ${timeoutS} s after PostgreSQL was back`);
}

/** How many notifications wait in the spool, as the door's metrics tell. */
export async function readSpooled(doorUrl: string): Promise<number> {
  const metrics = await (await fetch(new URL('/metrics', doorUrl))).text();
  const value = /^airudder_spool_notifications(?:\{[^}]*\})? (\S+)$/m.exec(metrics)?.[1];
  if (value === undefined) throw new Error('the metrics do not tell airudder_spool_notifications');
  return Number(value);
}
