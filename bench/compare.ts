import { type Balance, balance } from './balance.js';
import type { Cluster } from './cluster.js';
import { type Contestant, DOOR, startContestants } from './contestants.js';
import { type HalfLoad, measureHalfLoad } from './half-load.js';
import { type LoneRequest, measureLoneRequest } from './lone-request.js';
import type { Options } from './options.js';
import { faultOf, measureOverload, type Overload } from './overload.js';
import { preload } from './preload.js';
import { print } from './print.js';
import { type Rounds, runRounds } from './rounds.js';
import { measureStart } from './start-time.js';
import { median, type Spread } from './statistics.js';

/** All that was measured in one run. */
export interface Comparison {
  readonly contestants: readonly Contestant[];
  readonly rounds: Rounds;
  /** By letter, of those that store something. */
  readonly balances: Readonly<Record<string, Balance>>;
  readonly door: DoorFigures | undefined;
  readonly faults: readonly string[];
}

/** What is measured of this door alone. */
export interface DoorFigures {
  readonly halfLoad: HalfLoad;
  readonly start: Spread;
  readonly loneRequest: LoneRequest;
  readonly overload: Overload;
}

export async function compare(cluster: Cluster, options: Options): Promise<Comparison> {
  const emptyUrl = await fill(cluster, options);
  const contestants = await startContestants(cluster, options.only, options.preload, emptyUrl);
  contestants.sort((one, other) => one.letter.localeCompare(other.letter));
  const rounds = await runRounds(cluster, contestants, options);
  const contestant = contestants.find(({ letter }) => letter === DOOR);
  const door = contestant && (await measureDoor(cluster, contestant, rounds, options));
  const balances: Record<string, Balance> = {};
  for (const each of contestants) {
    const found = await balance(each);
    if (found) balances[each.letter] = found;
  }
  const fault = door && faultOf(door.overload);
  return { contestants, rounds, balances, door, faults: fault === undefined ? [] : [`overload: ${fault}`] };
}

/** @returns the URL of a database in which nothing is stored; undefined: there is nothing stored in the other either */
async function fill(cluster: Cluster, options: Options): Promise<string | undefined> {
  if (options.preload === 0) return undefined;
  const emptyUrl = await cluster.clone('nothing_stored');
  await preload(cluster.url(), options.preload, (stored) => print(`  preload   ${stored} cases`));
  return emptyUrl;
}

async function measureDoor(
  cluster: Cluster,
  door: Contestant,
  { rates }: Rounds,
  options: Options,
): Promise<DoorFigures> {
  const halfLoad = await measureHalfLoad(door, median(rates[DOOR] ?? []), options);
  const start = await measureStart(cluster);
  const loneRequest = await measureLoneRequest(cluster, door, options);
  const overload = await measureOverload(door, options);
  return { halfLoad, start, loneRequest, overload };
}
