import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { audit } from './support/audit.js';
import { LOAD_MS, POLL, TEST_TIMEOUT_MS } from './support/chaos.js';
import { type Answer, notification, send } from './support/service.js';
import { awaitDrained, type Booted, killHard, metric, readiness, FaultHarness } from './support/stage.js';
import type { Traffic } from './support/traffic.js';

/** PostgreSQL goes away in every way. */
vi.setConfig({ testTimeout: TEST_TIMEOUT_MS });

/** One second is promised; the machine that tests run on may be busy with something else for as long again. */
const MAX_GAP_MS = 2_500;

let stage: FaultHarness;
beforeAll(async () => {
  stage = await FaultHarness.create();
});
afterEach(async () => stage.clear());
afterAll(async () => stage.strike());

const spooled = async ({ url }: Booted): Promise<number> => metric(url, 'airudder_spool_notifications');

/** Begins something bad under load, looks on for a while, and says how long nothing was acknowledged. */
async function strikeUnder(traffic: Traffic, strike: () => Promise<void>, forMs = LOAD_MS): Promise<number> {
  await sleep(LOAD_MS / 2);
  const sinceMs = performance.now();
  await strike();
  await sleep(forMs);
  return traffic.longestGapMs(sinceMs);
}

/** The spool becomes empty while notifications keep coming, and then the load ends. */
async function awaitDrainedUnder(traffic: Traffic, service: Booted): Promise<void> {
  await awaitDrained(service.url);
  const before = traffic.acknowledged;
  await expect.poll(() => traffic.acknowledged, POLL).toBeGreaterThan(before);
  await traffic.stop();
  await awaitDrained(service.url);
}

test.each([
  ['killed', async () => stage.postgres.kill()],
  ['shut down at once', async () => stage.postgres.shutDownAtOnce()],
])(
  'with PostgreSQL %s under load it goes on acknowledging, and all of it is in PostgreSQL soon after that is back',
  async (sort, end) => {
    const database = await stage.postgres.createDatabase();
    const service = await stage.startService(database, await stage.folder());
    const traffic = stage.traffic([service.url]).start();
    const longestGapMs = await strikeUnder(traffic, end);
    expect((await readiness(service.url)).body).toMatchObject({ status: 'ready', postgres: 'down', spool: 'holding' });
    const left = await spooled(service);
    expect(left).toBeGreaterThan(0);
    await stage.postgres.start();
    await awaitDrainedUnder(traffic, service);
    expect(await audit(`PostgreSQL ${sort}`, database, traffic, { spooled: left, longestGapMs })).toEqual([]);
    expect(longestGapMs).toBeLessThan(MAX_GAP_MS);
    expect([traffic.refused, traffic.unanswered]).toEqual([0, []]);
  },
);

test.each([
  ['', false],
  [', also on a connection that recorded who saw numbers', true],
])('what PostgreSQL has acknowledged survives its crash at the next moment%s', async (_, isRevealing) => {
  const database = await stage.postgres.createDatabase();
  const service = await stage.startService(database, await stage.folder(), { API_KEYS: 'all:read+reveal:key' });
  const traffic = stage.traffic([service.url]);
  await traffic.post();
  // Until its next start: a commit that does not wait for the disk is lost in a crash within the next seconds.
  await stage.postgres.query('postgres', `ALTER SYSTEM SET wal_writer_delay = '10s'`);
  await stage.postgres.query('postgres', `SELECT pg_reload_conf()`);
  for (let n = 0; n < 20; n += 1) {
    const cases = isRevealing && send(`${service.url}/v1/cases`, { headers: { authorization: 'Bearer key' } });
    if (cases) expect((await cases).body['data'][0].callee_number).toBe(notification().callee_number);
    await traffic.post();
  }
  await stage.postgres.kill();
  await stage.postgres.start();
  await awaitDrained(service.url);
  expect(await audit('PostgreSQL crashed', database, traffic)).toEqual([]);
});

test('with PostgreSQL paused under load it goes on acknowledging, and late commits make nothing twice', async () => {
  const database = await stage.postgres.createDatabase();
  const service = await stage.startService(database, await stage.folder());
  const traffic = stage.traffic([service.url]).start();
  const longestGapMs = await strikeUnder(traffic, async () => stage.postgres.pause(), Math.max(3_000, LOAD_MS));
  const left = await spooled(service);
  expect(left).toBeGreaterThan(0);
  stage.postgres.resume();
  await awaitDrainedUnder(traffic, service);
  expect(await audit('PostgreSQL paused', database, traffic, { spooled: left, longestGapMs })).toEqual([]);
  expect(longestGapMs).toBeLessThan(MAX_GAP_MS);
  expect([traffic.refused, traffic.unanswered]).toEqual([0, []]);
});

test('killed in an outage, started again in it, and killed while it drains, it has what each process acknowledged', async () => {
  const database = await stage.postgres.createDatabase();
  const folder = await stage.folder();
  const first = await stage.startService(database, folder);
  const traffic = stage.traffic([first.url]).start();
  await strikeUnder(traffic, async () => stage.postgres.kill(), LOAD_MS / 2);
  const left = await spooled(first);
  expect(left).toBeGreaterThan(0);
  await killHard(first);
  const byFirst = traffic.acknowledged;

  const second = await stage.startService(database, folder);
  traffic.aim(second.url);
  expect(await spooled(second)).toBeGreaterThanOrEqual(left);
  await expect.poll(() => traffic.acknowledged, POLL).toBeGreaterThan(byFirst);
  await sleep(LOAD_MS / 2);
  const most = await spooled(second);
  await stage.postgres.start();
  await expect.poll(async () => spooled(second), { ...POLL, interval: 1 }).toBeLessThan(most);
  await killHard(second);

  const third = await stage.startService(database, folder);
  traffic.aim(third.url);
  await awaitDrainedUnder(traffic, third);
  expect(await audit('service killed in an outage and after it', database, traffic, { spooled: most })).toEqual([]);
});

test('started during an outage on a database that has no tables yet it accepts, and makes them when PostgreSQL is back', async () => {
  const database = await stage.postgres.createDatabase();
  await stage.postgres.kill();
  const service = await stage.startService(database, await stage.folder());
  expect((await readiness(service.url)).status).toBe(200);
  const list = async (cursor = ''): Promise<Answer> =>
    send(`${service.url}/v1/cases?limit=1${cursor && `&cursor=${cursor}`}`, {
      headers: { authorization: 'Bearer key' },
    });
  for (const cursor of ['', 'AAAA'])
    expect((await list(cursor)).body).toMatchObject({ status: 503, code: 'service_unavailable' });
  const traffic = stage.traffic([service.url]);
  await traffic.run(LOAD_MS / 2);
  expect([traffic.refused, traffic.unanswered]).toEqual([0, []]);
  expect(await spooled(service)).toBe(traffic.acknowledged);
  traffic.start();
  await stage.postgres.start();
  await awaitDrainedUnder(traffic, service);
  expect(await audit('started during an outage, no tables', database, traffic)).toEqual([]);
  const { body: first } = await list();
  const { body: second } = await list(first['next_cursor'] as string);
  expect(second['data']).toHaveLength(1);
  expect(second['data']).not.toEqual(first['data']);
});

test('told to end during an outage it ends in time, and the next start brings its spool to PostgreSQL', async () => {
  const database = await stage.postgres.createDatabase();
  const folder = await stage.folder();
  const service = await stage.startService(database, folder);
  const traffic = stage.traffic([service.url]).start();
  await strikeUnder(traffic, async () => stage.postgres.kill(), LOAD_MS / 2);
  const left = await spooled(service);
  expect(left).toBeGreaterThan(0);
  const toldAt = performance.now();
  service.process.kill('SIGTERM');
  expect(await service.process.exitCode(), service.process.output()).toBe(0);
  const seconds = Math.round(performance.now() - toldAt) / 1000;
  await traffic.stop();

  await stage.postgres.start();
  const again = await stage.startService(database, folder);
  await awaitDrained(again.url);
  expect(await audit('told to end during an outage', database, traffic, { spooled: left, seconds })).toEqual([]);
});
