import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { migrate } from '../src/database/migrate.js';
import { type Serving, startService, startServingAlike, startWorking } from './children.js';
import { type Cluster, query } from './cluster.js';
import type { Options } from './options.js';
import { preload } from './preload.js';
import { print } from './print.js';
import { type Export, measureExport } from './read-export.js';
import type { Database, ReadResult, Service } from './read-plan.js';
import { type Ask, type Get, type Question, QUESTIONS } from './read-questions.js';
import { type Sample, withSample } from './read-sample.js';

export const FEW = 5_000;
const DAYS = 30;
const WARM_UP_SECONDS = 1;
const EXPORTED = 300_000;
/** The one that `startService` gives to the bench. */
export const KEY = 'nothing';

/** Who is asked: the service with few cases and with many, the driver with many, and an endpoint that does nothing. */
export const ASKED = ['few', 'many', 'bare', 'nothing'] as const;
export type Asked = (typeof ASKED)[number];

/** What was measured of one question. */
export interface Reading {
  readonly name: string;
  readonly connections: number;
  /** Length of one answer with many stored. */
  readonly bytes: number;
  /** One of each for every round; none where there is nothing to ask. */
  readonly results: Readonly<Record<Asked, readonly ReadResult[]>>;
}

/** What was measured of reading. */
export interface Readings {
  readonly readings: readonly Reading[];
  readonly exports: readonly Export[];
}

/** Asks every question of all in turn, in each round beginning with another one; then exports, one after the other. */
export async function measureReading(cluster: Cluster, options: Options): Promise<Readings> {
  const few = await fill(cluster, Math.min(FEW, options.preload));
  const many = await fill(cluster, options.preload);
  const [ofFew, ofMany, nothing] = await Promise.all([
    startService(few, await cluster.makeFolder('process-few')),
    startService(many, await cluster.makeFolder('process-many')),
    startServingAlike('nest-nothing', many, await cluster.makeFolder('process-nothing')),
  ]);
  const urls = { few: ofFew.url, many: ofMany.url, nothing: nothing.url };
  const questions = QUESTIONS.filter(({ name }) => name.includes(options.questions));
  if (questions.length === 0) throw new Error(`no question's name has "${options.questions}" in it`);
  const prepared = await withSample(few, async (fewSample) =>
    withSample(many, async (manySample) => {
      const done: Prepared[] = [];
      for (const each of questions) done.push(await prepare(each, many, fewSample, manySample, urls, options));
      return done;
    }),
  );
  const readings = prepared.map(({ name, connections, bytes }) => ({ name, connections, bytes, results: noResults() }));
  const folder = await cluster.makeFolder('plans');
  for (let round = 0; round <= options.rounds; round += 1) {
    for (const [index, { name, connections, plans }] of prepared.entries()) {
      for (const asked of ASKED.map((_, place) => ASKED[(place + round) % ASKED.length] as Asked)) {
        const from = plans[asked];
        if (!from) continue;
        const file = path.join(folder, 'plan.json');
        const seconds = round === 0 ? WARM_UP_SECONDS : options.seconds;
        await writeFile(file, JSON.stringify({ connections, seconds, from }));
        const result = await startWorking<ReadResult>('read-load', file).result;
        if (round > 0) readings[index]?.results[asked].push(result);
      }
      const last = ASKED.map((asked) => `${asked} ${readings[index]?.results[asked].at(-1)?.perSecond.toFixed(0)}/s`);
      print(`  ${round === 0 ? 'warm-up' : `round ${round}`}   ${name}: ${round === 0 ? '' : last.join(', ')}`);
    }
  }
  return { readings, exports: await measureExports(ofMany, many, options) };
}

async function measureExports(serving: Serving, databaseUrl: string, { rounds }: Options): Promise<Export[]> {
  const from = await withSample(databaseUrl, async (sample) => sample.placeBehind(EXPORTED));
  const exports: Export[] = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const format of ['ndjson', 'csv']) {
      const measured = await measureExport(serving, KEY, format, new Date(from[0]).toISOString());
      print(`  export    ${format}: ${(measured.rows / measured.seconds).toFixed(0)} rows/s`);
      exports.push(measured);
    }
  }
  return exports;
}

/** @returns the URL of a database with so many cases, of an earlier run if the cluster was kept */
async function fill(cluster: Cluster, cases: number): Promise<string> {
  const name = `cases_${cases}`;
  const server = cluster.url('postgres');
  const existing = await query<{ datname: string }>(server, 'SELECT datname FROM pg_database');
  if (!existing.some(({ datname }) => datname === name)) {
    await query(server, 'DROP DATABASE IF EXISTS filling');
    const workflows = Math.max(1, Math.min(500, Math.floor(cases / 1000))); // each with more cases than a page
    await preload(await cluster.clone('filling'), cases, (stored) => print(`  preload   ${stored} cases`), {
      workflows,
      days: DAYS,
    });
    await query(server, `ALTER DATABASE filling RENAME TO ${name}`);
  }
  await migrate(cluster.url(name));
  return cluster.url(name);
}

interface Prepared {
  readonly name: string;
  readonly connections: number;
  readonly bytes: number;
  readonly plans: Readonly<Record<Asked, Service | Database | undefined>>;
}

async function prepare(
  { name, asks, bare, connections }: Question,
  databaseUrl: string,
  few: Sample,
  many: Sample,
  urls: Readonly<Record<Exclude<Asked, 'bare'>, string>>,
  options: Options,
): Promise<Prepared> {
  const service = (asked: Exclude<Asked, 'bare'>, asks_: readonly Ask[]): Service => ({
    url: new URL(urls[asked]).origin,
    key: KEY,
    asks: asks_,
  });
  const plans = {
    few: service('few', await asks(few, getFrom(urls.few))),
    many: service('many', await asks(many, getFrom(urls.many))),
    bare: bare && { databaseUrl, bare: await bare(many) },
    nothing: service(
      'nothing',
      many.cases.map(({ id }) => ({ path: `/v1/nothing/${id}` })),
    ),
  };
  return { name, connections: connections ?? options.connections, bytes: await answerBytes(plans.many), plans };
}

async function answerBytes({ url, asks: [first] }: Service): Promise<number> {
  const init = first?.body === undefined ? {} : { method: 'POST', body: JSON.stringify(first.body) };
  const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
  const response = await fetch(url + first?.path, { ...init, headers });
  return (await response.arrayBuffer()).byteLength;
}

function getFrom(url: string): Get {
  return async (path_) => {
    const response = await fetch(new URL(path_, url), { headers: { authorization: `Bearer ${KEY}` } });
    if (!response.ok) throw new Error(`answered ${response.status}: ${await response.text()}`);
    return response.json();
  };
}

function noResults(): Record<Asked, ReadResult[]> {
  return { few: [], many: [], bare: [], nothing: [] };
}
