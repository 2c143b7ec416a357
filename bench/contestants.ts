import type { Entry } from './balance.js';
import { startService, startServing, type Serving } from './children.js';
import { type Cluster, countNotifications } from './cluster.js';

/** One of the ways to take a notification that are compared. */
export interface Contestant extends Serving {
  readonly letter: string;
  readonly label: string;
  /** Of the database whose notifications are counted; undefined: it stores nothing. */
  readonly databaseUrl: string | undefined;
  readonly account: { readonly before: number; readonly entries: Entry[] };
}

export const DOOR = 'e';

/**
 * Starts those that were chosen, each as a process of its own beside the others.
 *
 * The databases are equal and apart: c and d work on copies, this door on what they were copied from. What it shares with
 * the do-nothing endpoint is only that this one is connected to it.
 */
export async function startContestants(
  cluster: Cluster,
  only: readonly string[] | undefined,
  preloaded: number,
  emptyUrl: string | undefined,
): Promise<Contestant[]> {
  const contestants: Contestant[] = [];
  for (const { letter, label, storesIn, start } of WAYS) {
    if (!(only?.includes(letter) ?? true) || (storesIn === 'empty' && emptyUrl === undefined)) continue;
    const databaseUrl = await DATABASES[storesIn](cluster, letter, emptyUrl);
    const serving = await start(databaseUrl ?? cluster.url(), await cluster.makeFolder(`process-${letter}`));
    const before = databaseUrl === undefined ? 0 : await countNotifications(databaseUrl);
    if (storesIn !== 'empty' && databaseUrl !== undefined && before !== preloaded) {
      throw new Error(`${label} begins with ${before} notifications instead of ${preloaded}`);
    }
    contestants.push({ ...serving, letter, label, databaseUrl, account: { before, entries: [] } });
  }
  return contestants;
}

interface Way {
  readonly letter: string;
  readonly label: string;
  readonly storesIn: 'nothing' | 'copy' | 'original' | 'empty';
  readonly start: (databaseUrl: string, folder: string) => Promise<Serving>;
}

/** Copies come first: a database that somebody is connected to cannot be copied. */
const WAYS: readonly Way[] = [
  {
    letter: 'a',
    label: 'bare Express',
    storesIn: 'nothing',
    start: async () => startServing('bare-express'),
  },
  {
    letter: 'c',
    label: 'the ordinary way',
    storesIn: 'copy',
    start: async (databaseUrl) => startServing('ordinary-way', databaseUrl),
  },
  {
    letter: 'd',
    label: 'one statement per request',
    storesIn: 'copy',
    start: async (databaseUrl) => startServing('one-statement', databaseUrl),
  },
  {
    letter: 'b',
    label: 'do-nothing endpoint of this Nest app',
    storesIn: 'nothing',
    start: async (databaseUrl, folder) => startServing('nest-nothing', databaseUrl, folder),
  },
  { letter: DOOR, label: 'this door', storesIn: 'original', start: startService },
  { letter: 'f', label: 'this door, nothing stored before', storesIn: 'empty', start: startService },
];

const DATABASES: Readonly<
  Record<Way['storesIn'], (cluster: Cluster, letter: string, emptyUrl?: string) => Promise<string> | string | undefined>
> = {
  nothing: () => undefined,
  copy: async (cluster, letter) => cluster.clone(`contestant_${letter}`),
  original: (cluster) => cluster.url(),
  empty: (_cluster, _letter, emptyUrl) => emptyUrl,
};
