import type { Contestant } from './contestants.js';
import type { Percentiles } from './load-plan.js';
import { measure } from './measure.js';
import type { Options } from './options.js';
import { print } from './print.js';
import { type Spread, spreadOf } from './statistics.js';

export interface HalfLoad {
  readonly perSecond: number;
  readonly sinceDue: PercentileSpreads;
  readonly sinceSent: PercentileSpreads;
}

export interface PercentileSpreads {
  readonly p50: Spread;
  readonly p99: Spread;
}

/** How long this door takes to answer while half as much comes in as it can take. */
export async function measureHalfLoad(door: Contestant, maximum: number, options: Options): Promise<HalfLoad> {
  const perSecond = Math.max(1, Math.round(maximum / 2));
  const sinceDue: Percentiles[] = [];
  const sinceSent: Percentiles[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    const { seconds, connections } = options;
    const result = await measure(door, { seconds, connections, perSecond });
    if (result.latencySinceDueMs) sinceDue.push(result.latencySinceDueMs);
    sinceSent.push(result.latencyMs);
    const p99 = result.latencySinceDueMs?.p99.toFixed(1);
    print(`  half load ${perSecond}/s: p50 ${result.latencySinceDueMs?.p50.toFixed(1)} ms, p99 ${p99} ms`);
  }
  return { perSecond, sinceDue: spreads(sinceDue), sinceSent: spreads(sinceSent) };
}

function spreads(all: readonly Percentiles[]): PercentileSpreads {
  return { p50: spreadOf(all.map(({ p50 }) => p50)), p99: spreadOf(all.map(({ p99 }) => p99)) };
}
