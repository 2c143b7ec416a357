import { setTimeout as sleep } from 'node:timers/promises';
import { startService, startWorking } from './children.js';
import type { Cluster } from './cluster.js';
import type { Contestant } from './contestants.js';
import { KEY } from './read.js';
import { measure, nameWorkflows, perSecond } from './measure.js';
import type { Options } from './options.js';
import { print } from './print.js';
import { PROVIDER_EXAMPLE } from '../src/ingest/notification/provider-example.js';

export const WAITERS = 1_000;
const WAKES = 100;
const START_LIMIT_MS = 20_000;

/** The door without and with waiters, in turn, and how long after its `200` a case is told. */
export interface Waiting {
  readonly alone: readonly number[];
  readonly waitedFor: readonly number[];
  readonly wakeMs: readonly number[];
}

export async function measureWaiting(cluster: Cluster, { rounds, seconds, connections }: Options): Promise<Waiting> {
  const serving = await startService(cluster.url(), await cluster.makeFolder('process'));
  const account = { before: 0, entries: [] };
  const door: Contestant = { ...serving, letter: '', label: 'this door', databaseUrl: cluster.url(), account };
  const origin = new URL(door.url).origin;
  await nameWorkflows(door);
  await measure(door, { seconds, connections });
  const alone: number[] = [];
  const waitedFor: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const withoutWaiters = async (): Promise<unknown> =>
      alone.push(perSecond(await measure(door, { seconds, connections })));
    const withWaiters = async (): Promise<void> => {
      const waiters = await startWaiters(origin);
      waitedFor.push(perSecond(await measure(door, { seconds, connections })));
      await waiters.end();
    };
    for (const turn of round % 2 === 0 ? [withoutWaiters, withWaiters] : [withWaiters, withoutWaiters]) await turn();
    print(`  round ${round + 1}   alone ${alone.at(-1)?.toFixed(0)}/s, waited for ${waitedFor.at(-1)?.toFixed(0)}/s`);
  }
  return { alone, waitedFor, wakeMs: await measureWakes(door, origin) };
}

async function startWaiters(origin: string): Promise<{ end(): Promise<void> }> {
  const working = startWorking<never>('waiters', origin, KEY, String(WAITERS));
  const ended = working.result.catch(() => undefined); // it has nothing to tell
  await watching(origin, WAITERS);
  return {
    end: async () => {
      working.kill();
      await ended;
      await watching(origin, 0);
    },
  };
}

/** Waits until so many wait, each of which has looked once. */
async function watching(origin: string, count: number): Promise<void> {
  const limit = performance.now() + START_LIMIT_MS;
  const wanted = [`airudder_watching_requests ${count}\n`, 'database_pool_waiting_requests{pool="query"} 0\n'];
  for (;;) {
    const metrics = await (await fetch(`${origin}/metrics`)).text();
    if (wanted.every((line) => metrics.includes(line))) return;
    if (performance.now() > limit) throw new Error(`not ${count} waiters within ${START_LIMIT_MS} ms`);
    await sleep(50);
  }
}

/** One case after the other: asked for, completed, told; beside all the others that wait. */
async function measureWakes(door: Contestant, origin: string): Promise<number[]> {
  const waiters = await startWaiters(origin);
  const wakeMs: number[] = [];
  const headers = { authorization: `Bearer ${KEY}`, prefer: 'wait=60', 'content-type': 'application/json' };
  for (let wake = 0; wake < WAKES; wake += 1) {
    const case_id = `awaited-${Date.now()}-${wake}`;
    const body = JSON.stringify({ cases: [{ case_id }] });
    const told = fetch(`${origin}/v1/cases/lookup`, { method: 'POST', headers, body });
    await watching(origin, WAITERS + 1);
    await sleep(Math.random() * 100); // at any time between two looks
    const posted = await fetch(door.url, {
      method: 'POST',
      headers,
      body: JSON.stringify({ ...PROVIDER_EXAMPLE, case_id }),
    });
    const postedAt = performance.now();
    if (posted.status !== 200) throw new Error(`the door answered ${posted.status}`);
    if (!(await (await told).text()).includes('"completed"')) throw new Error('the wait ended without the case');
    wakeMs.push(performance.now() - postedAt);
  }
  await waiters.end();
  return wakeMs;
}
