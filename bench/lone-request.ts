import { startServing, startWorking } from './children.js';
import { type Cluster, query } from './cluster.js';
import type { Contestant } from './contestants.js';
import type { Percentiles } from './load-plan.js';
import { measure } from './measure.js';
import type { Options } from './options.js';
import { print } from './print.js';
import { type Spread, spreadOf } from './statistics.js';

/** Median latencies in milliseconds, over the rounds. */
export interface LoneRequest {
  readonly door: Spread;
  readonly transaction: Spread;
  readonly insert: Spread;
  readonly http: Spread;
  readonly express: Spread;
  /** This door's latency over that of one of these and the exchange with bare Node.js together, round by round. */
  readonly overTransaction: Spread;
  readonly overInsert: Spread;
}

/** How long one request takes while there is no other, beside the two things that it cannot do without. */
export async function measureLoneRequest(cluster: Cluster, door: Contestant, options: Options): Promise<LoneRequest> {
  const http = await startBare('bare-http');
  const express = await startBare('bare-express');
  const medians: Record<'door' | 'transaction' | 'insert' | 'http' | 'express', number[]> = {
    door: [],
    transaction: [],
    insert: [],
    http: [],
    express: [],
  };
  const { seconds } = options;
  const exchange = async (with_: Contestant): Promise<number> =>
    (await measure(with_, { seconds, connections: 1 })).latencyMs.p50;
  try {
    for (const each of [http, express]) await exchange(each); // to warm up
    for (let round = 1; round <= options.rounds; round += 1) {
      medians.transaction.push(await insert(cluster.url(), seconds, 'transaction'));
      medians.insert.push(await insert(cluster.url(), seconds, 'statement'));
      medians.http.push(await exchange(http));
      medians.door.push(await exchange(door));
      medians.express.push(await exchange(express));
      const last = Object.entries(medians).map(([name, values]) => `${name} ${values.at(-1)?.toFixed(3)} ms`);
      print(`  lone request: ${last.join(', ')}`);
    }
  } finally {
    await http.stop();
    await express.stop();
    await query(cluster.url(), `DELETE FROM notifications WHERE kind = 'bench'`);
  }
  return {
    door: spreadOf(medians.door),
    transaction: spreadOf(medians.transaction),
    insert: spreadOf(medians.insert),
    http: spreadOf(medians.http),
    express: spreadOf(medians.express),
    overTransaction: spreadOf(overSum(medians.door, medians.transaction, medians.http)),
    overInsert: spreadOf(overSum(medians.door, medians.insert, medians.http)),
  };
}

async function startBare(program: string): Promise<Contestant> {
  const account = { before: 0, entries: [] };
  return { ...(await startServing(program)), letter: '', label: program, databaseUrl: undefined, account };
}

async function insert(databaseUrl: string, seconds: number, way: 'transaction' | 'statement'): Promise<number> {
  const work = startWorking<{ latencyMs: Percentiles }>('plain-insert', databaseUrl, String(seconds), way);
  const { latencyMs } = await work.result;
  return latencyMs.p50;
}

function overSum(whole: readonly number[], one: readonly number[], other: readonly number[]): number[] {
  return whole.map((value, round) => value / ((one[round] ?? NaN) + (other[round] ?? NaN)));
}
