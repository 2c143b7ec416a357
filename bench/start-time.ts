import { startService } from './children.js';
import type { Cluster } from './cluster.js';
import { print } from './print.js';
import { type Spread, spreadOf } from './statistics.js';

const STARTS = 5;

/** Milliseconds from the start of the process until it says that it is ready, on a migrated database. */
export async function measureStart(cluster: Cluster): Promise<Spread> {
  const folder = await cluster.makeFolder('process-start');
  const timesMs: number[] = [];
  for (let start = 0; start < STARTS; start += 1) {
    const startedAt = performance.now();
    const service = await startService(cluster.url(), folder);
    timesMs.push(performance.now() - startedAt);
    await service.stop();
  }
  print(`  start to ready: ${timesMs.map((timeMs) => `${Math.round(timeMs)} ms`).join(', ')}`);
  return spreadOf(timesMs);
}
