import { startLoad } from './children.js';
import type { Contestant } from './contestants.js';
import { enter, nextSeries } from './measure.js';
import { type Memory, startMemorySampling } from './memory.js';
import type { Options } from './options.js';
import { print } from './print.js';

export const OVERLOAD_CONNECTIONS = 1_000;

export interface Overload {
  readonly seconds: number;
  readonly memory: Memory;
  readonly statuses: Readonly<Record<string, number>>;
  readonly errors: number;
}

/** Sends more than can be taken: here a `503` is a right answer too, but nothing else is. */
export async function measureOverload(door: Contestant, options: Options): Promise<Overload> {
  const sampling = startMemorySampling(door.pid);
  const plan = { url: door.url, connections: OVERLOAD_CONNECTIONS, seconds: options.overloadSeconds };
  const result = await startLoad({ ...plan, series: nextSeries() }).result;
  const memory = await sampling.end();
  enter(door, result);
  const { statuses, errors, seconds } = result;
  print(`  overload: ${JSON.stringify(statuses)}, ${errors} errors, at most ${Math.round(memory.highestMiB)} MiB`);
  return { seconds, memory, statuses, errors };
}

/** What was wrong with the answers; undefined: nothing. */
export function faultOf({ statuses, errors }: Pick<Overload, 'statuses' | 'errors'>): string | undefined {
  const isRight = Object.keys(statuses).every((status) => ['200', '503'].includes(status)) && errors === 0;
  return isRight ? undefined : `not only 200 and 503 were answered: ${JSON.stringify(statuses)}, ${errors} errors`;
}
