import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from './cluster.js';
import type { Contestant } from './contestants.js';
import { cpuMs, postgresCpuMs } from './cpu.js';
import { startMemorySampling } from './memory.js';
import { measure, nameWorkflows, perSecond } from './measure.js';
import type { Options } from './options.js';
import { print } from './print.js';

/** So long each gets to finish what nobody waits for any more: the next one must not pay for it. */
const REST_MS = 1_000;

/** What each contestant reached in each round, and what this door's process weighed meanwhile. */
export interface Rounds {
  /** By letter; requests per second, one per round. */
  readonly rates: Readonly<Record<string, readonly number[]>>;
  /** By letter; of the whole process. */
  readonly memory: Readonly<Record<string, { readonly highestMiB: number; readonly lastMiB: number }>>;
  /** By letter; processor time per answer in microseconds, one per round: of the contestant, and of PostgreSQL meanwhile. */
  readonly cpu: Readonly<Record<string, { readonly own: readonly number[]; readonly postgres: readonly number[] }>>;
}

/**
 * Has every contestant answer at full speed once in each round, in an order that begins one further each time: what
 * slows the machine down for a while slows neighbours down alike, and their ratio stays.
 */
export async function runRounds(
  cluster: Cluster,
  contestants: readonly Contestant[],
  options: Options,
): Promise<Rounds> {
  const { seconds, connections } = options;
  for (const contestant of contestants) {
    await nameWorkflows(contestant);
    const rate = perSecond(await measure(contestant, { seconds, connections }));
    print(`  warm-up   ${contestant.label}: ${Math.round(rate)}/s`);
  }
  const rates: Record<string, number[]> = Object.fromEntries(contestants.map(({ letter }) => [letter, []]));
  const memory: Record<string, { highestMiB: number; lastMiB: number }> = {};
  const cpu = Object.fromEntries(
    contestants.map(({ letter }) => [letter, { own: [] as number[], postgres: [] as number[] }]),
  );
  for (let round = 0; round < options.rounds; round += 1) {
    const first = round % contestants.length;
    for (const contestant of [...contestants.slice(first), ...contestants.slice(0, first)]) {
      await sleep(REST_MS);
      const sampling = startMemorySampling(contestant.pid);
      const ownBefore = await cpuMs(contestant.pid);
      const postgresBefore = await postgresCpuMs(cluster.postgresFolder);
      const rate = perSecond(await measure(contestant, { seconds, connections }));
      const perAnswer = 1000 / (rate * seconds);
      cpu[contestant.letter]?.own.push(((await cpuMs(contestant.pid)) - ownBefore) * perAnswer);
      cpu[contestant.letter]?.postgres.push(
        ((await postgresCpuMs(cluster.postgresFolder)) - postgresBefore) * perAnswer,
      );
      const { highestMiB, lastMiB } = await sampling.end();
      rates[contestant.letter]?.push(rate);
      const { highestMiB: before = 0 } = memory[contestant.letter] ?? {};
      memory[contestant.letter] = { highestMiB: Math.max(before, highestMiB), lastMiB };
      print(`  round ${round + 1}   ${contestant.label}: ${Math.round(rate)}/s, ${Math.round(lastMiB)} MiB`);
    }
  }
  return { rates, memory, cpu };
}
