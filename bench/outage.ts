import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Balance, balance } from './balance.js';
import { startLoad, startService } from './children.js';
import type { Cluster } from './cluster.js';
import type { Contestant } from './contestants.js';
import { awaitDrained, type Drain, readSpooled } from './drain.js';
import { type LoadResult, TICK_MS } from './load-plan.js';
import { enter, measure, nameWorkflows, nextSeries, perSecond } from './measure.js';
import type { Options } from './options.js';
import { faultOf } from './overload.js';
import { print } from './print.js';

export const STEADY_PER_SECOND = 2_000;
export const DRAIN_PER_SECOND = 500;
const BEFORE_MS = 2_000;
const AFTER_S = 5;
const RESTART_ATTEMPTS = 20;
const LONGEST_DRAIN_S = 600;

export interface Outage {
  readonly gapMs: number;
  readonly steadyStatuses: Readonly<Record<string, number>>;
  readonly spooledPerSecond: number;
  readonly spooled: number;
  readonly drain: Drain;
  readonly drainStatuses: Readonly<Record<string, number>>;
  readonly balance: Balance | undefined;
  readonly faults: readonly string[];
}

/** Kills PostgreSQL under load, loads the door while it is away, and starts it again under load. */
export async function measureOutage(cluster: Cluster, options: Options): Promise<Outage> {
  const { seconds, connections } = options;
  const door = await startDoor(cluster);
  await nameWorkflows(door);
  await measure(door, { seconds, connections });

  const { gapMs, steady } = await killUnderLoad(cluster, door, connections);
  print(`  killed: ${Math.round(gapMs)} ms without a 200; ${JSON.stringify(steady.statuses)}`);
  const full = await startLoad({ url: door.url, connections, seconds, series: nextSeries() }).result;
  enter(door, full);
  const spooled = await readSpooled(door.url);
  print(`  away: ${Math.round(perSecond(full))}/s; ${spooled} are waiting`);

  const moderate = startLoad({
    url: door.url,
    connections,
    seconds: LONGEST_DRAIN_S,
    series: nextSeries(),
    perSecond: DRAIN_PER_SECOND,
  });
  await sleep(BEFORE_MS);
  await restart(cluster);
  const drain = await awaitDrained(door.url, LONGEST_DRAIN_S);
  moderate.stop();
  const rest = await moderate.result;
  enter(door, rest);
  print(`  back: ${JSON.stringify(drain)}`);
  return {
    gapMs,
    steadyStatuses: steady.statuses,
    spooledPerSecond: perSecond(full),
    spooled,
    drain,
    drainStatuses: rest.statuses,
    balance: await balance(door),
    faults: [steady, full, rest].map(faultOf).filter((fault) => fault !== undefined),
  };
}

async function startDoor(cluster: Cluster): Promise<Contestant> {
  const serving = await startService(cluster.url(), await cluster.makeFolder('process'));
  const account = { before: 0, entries: [] };
  return { ...serving, letter: '', label: 'this door', databaseUrl: cluster.url(), account };
}

async function killUnderLoad(
  cluster: Cluster,
  door: Contestant,
  connections: number,
): Promise<{ gapMs: number; steady: LoadResult }> {
  const seconds = BEFORE_MS / 1000 + AFTER_S;
  const plan = { url: door.url, connections, seconds, perSecond: STEADY_PER_SECOND };
  const load = startLoad({ ...plan, series: nextSeries() });
  await sleep(BEFORE_MS);
  const pidFile = await readFile(path.join(cluster.postgresFolder, 'postmaster.pid'), 'utf8');
  const killedAtMs = Date.now();
  process.kill(Number.parseInt(pidFile, 10), 'SIGKILL');
  const steady = await load.result;
  enter(door, steady);
  return { gapMs: longestGapMs(steady, killedAtMs), steady };
}

/** The longest time without a 200, from a moment on until the end. */
function longestGapMs({ acknowledgedPerTick, startedAtMs, seconds }: LoadResult, sinceMs: number): number {
  const first = Math.max(0, Math.floor((sinceMs - startedAtMs) / TICK_MS));
  const last = Math.ceil((seconds * 1000) / TICK_MS);
  let longest = 0;
  let current = 0;
  for (let tick = first; tick < last; tick += 1) {
    current = (acknowledgedPerTick[tick] ?? 0) > 0 ? 0 : current + 1;
    longest = Math.max(longest, current);
  }
  return longest * TICK_MS;
}

/** What a killed server leaves behind may still hold its memory for a moment, and then it does not start. */
async function restart(cluster: Cluster): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await cluster.restart();
      return;
    } catch (error) {
      if (attempt === RESTART_ATTEMPTS) throw error;
      await sleep(250);
    }
  }
}
