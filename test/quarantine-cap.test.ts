import { Client } from 'pg';
import { afterEach, expect, test, vi } from 'vitest';
import type { Config } from '../src/config/config.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { countBlocked, hold } from './support/hold.js';
import {
  ALL_KEY,
  type Answer,
  type Json,
  notification,
  send,
  startService,
  type TestService,
} from './support/service.js';
import { withStoppedTimers } from './support/timers.js';

vi.setConfig({ testTimeout: 120_000 });
const POLL = { timeout: 30_000, interval: 50 };

let started: TestService[] = [];
let database: TestDatabase | undefined;
afterEach(async () => {
  for (const service of started) await service.stop();
  await database?.drop();
  [started, database] = [[], undefined];
});

/** Replicas on one database. */
async function start(replicas: number, config: Partial<Config>): Promise<TestService[]> {
  const shared = (database = await createDatabase());
  started = await Promise.all(Array.from({ length: replicas }, async () => startService({ database: shared, config })));
  return started;
}

/** Sends them with so many under way at once. */
async function sendAll<T>(items: readonly T[], post: (item: T, n: number) => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = [];
  const rest = [...items.entries()];
  const work = async (): Promise<void> => {
    for (let next = rest.shift(); next; next = rest.shift()) answers[next[0]] = await post(next[1], next[0]);
  };
  await withStoppedTimers(async () => Promise.all(Array.from({ length: 50 }, work)));
  return answers;
}

const statuses = (answers: readonly Answer[]): Record<number, number> => {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};
const usage = async (): Promise<Json | undefined> => {
  const counted = `(SELECT count(*) FROM quarantined_notifications)`;
  const summed = `(SELECT coalesce(sum(octet_length(body)), 0) FROM quarantined_notifications)`;
  const [row] =
    (await database?.query<Json>(`
    SELECT rows::integer, bytes::integer, (rows, bytes) = (${counted}, ${summed}) AS is_right FROM quarantine_usage`)) ??
    [];
  return row;
};
const metric = async (service: TestService, name: string): Promise<number> =>
  Number(new RegExp(`^${name} (.+)$`, 'm').exec((await service.get('/metrics')).text)?.[1] ?? Number.NaN);
const condition = async (service: TestService): Promise<unknown[]> => {
  const { status, body } = await service.get('/health/ready');
  return [status, body['status'], body['quarantine']];
};
const discard = async ({ url }: TestService, filter: Json): Promise<Answer> =>
  send(`${url}/v1/quarantine/discard`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ALL_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ filter, reason: 'Noise.' }),
  });

test('10,000 distinct bad bodies meet the cap: 503 beyond it, nothing evicted, and valid notifications suffer nothing', async () => {
  const [service] = (await start(1, { quarantineMaxRows: 500 })) as [TestService];
  const first = await service.post('{ the first');
  const bodies = Array.from({ length: 10_000 }, (_, n) =>
    n % 100 === 0 ? notification({ case_id: `c${n}` }) : `{ ${n}`,
  );
  const answers = await sendAll(bodies, async (body) => service.post(body));
  const valid = answers.filter((_, n) => n % 100 === 0);
  expect(statuses(valid)).toEqual({ 200: 100 });
  expect(statuses(answers)).toEqual({ 200: 100, 400: 499, 503: 9_401 });
  expect(await metric(service, 'airudder_notifications_accepted_total{verdict="spooled"}')).toBeNaN();
  const turnedAway = answers.find(({ status }) => status === 503);
  expect(turnedAway?.body).toMatchObject({ code: 'quarantine_full' });
  expect(turnedAway?.headers.get('retry-after')).toBe('5');

  expect(await usage()).toEqual({ rows: 500, bytes: expect.any(Number), is_right: true });
  expect((await service.get(`/v1/quarantine/${first.body['request_id']}`)).status).toBe(200);
  expect(await condition(service)).toEqual([200, 'ready', 'full']);
  expect(await metric(service, 'airudder_quarantine_rows')).toBe(500);
  expect(await metric(service, 'airudder_quarantine_max_rows')).toBe(500);
  expect(await metric(service, 'airudder_notifications_refused_total{reason="quarantine_full"}')).toBe(9_401);

  expect((await service.post('{ the first')).status).toBe(400); // what is there is counted
  expect((await service.get(`/v1/quarantine/${first.body['request_id']}`)).body['count']).toBe(2);
  await discard(service, { received_to: new Date().toISOString() });
  expect(await usage()).toEqual({ rows: 0, bytes: 0, is_right: true });
  expect((await service.post('{ another')).status).toBe(400);
  expect(await condition(service)).toEqual([200, 'ready', 'ok']);
});

test('replicas share the cap exactly, and repeats that come at once take one place', async () => {
  const replicas = await start(3, { quarantineMaxRows: 60 });
  const bodies = Array.from({ length: 400 }, (_, n) => `{ ${n % 200}`);
  const answers = await sendAll(bodies, async (body, n) => (replicas[n % 3] as TestService).post(body));
  expect(await usage()).toMatchObject({ rows: 60, is_right: true });
  const { body } = await (replicas[0] as TestService).get('/v1/quarantine?limit=1000');
  const counted = body['data'].reduce((sum: number, { count }: Json) => sum + count, 0);
  expect(statuses(answers)).toEqual({ 400: counted, 503: 400 - counted });
});

test('their bytes are bounded too', async () => {
  const [service] = (await start(1, { quarantineMaxBytes: 1_000_000, bodyLimitBytes: 100_000 })) as [TestService];
  const answers = await sendAll(
    Array.from({ length: 30 }, (_, n) => String(n).padEnd(70_000, '{')),
    async (body) => service.post(body),
  );
  expect(statuses(answers)).toEqual({ 400: 14, 503: 16 });
  expect(await usage()).toEqual({ rows: 14, bytes: 980_000, is_right: true });
  expect(await metric(service, 'airudder_quarantine_bytes')).toBe(980_000);
  expect(await metric(service, 'airudder_quarantine_max_bytes')).toBe(1_000_000);
  expect(await condition(service)).toEqual([200, 'ready', 'full']);
  expect((await service.post('{'.padEnd(20_000))).status).toBe(400);
  expect((await service.post('{')).status).toBe(503);
});

test('how full it is stays known when somebody removes rows by hand', async () => {
  const [service] = (await start(1, { quarantineMaxRows: 5 })) as [TestService];
  for (let n = 0; n < 5; n += 1) await service.post(`{ ${n}`);
  await database?.query(
    `DELETE FROM quarantined_notifications WHERE id IN (SELECT id FROM quarantined_notifications LIMIT 2)`,
  );
  expect(await usage()).toMatchObject({ rows: 3, is_right: true });
  expect(
    [await service.post('{ a'), await service.post('{ b'), await service.post('{ c')].map(({ status }) => status),
  ).toEqual([400, 400, 503]);
  await database?.query(`TRUNCATE quarantined_notifications`);
  expect(await usage()).toEqual({ rows: 0, bytes: 0, is_right: true });
});

test('no valid notification waits for refused ones, however many wait for each other', async () => {
  const [service] = (await start(1, {})) as [TestService];
  const holder = new Client(database?.url);
  await holder.connect();
  await holder.query('BEGIN');
  await holder.query('SELECT FROM quarantine_usage FOR UPDATE');
  const refused = Array.from({ length: 200 }, async (_, n) => service.post(`{ ${n}`));
  await expect.poll(async () => metric(service, 'airudder_door_waiting_notifications'), POLL).toBeGreaterThan(0);
  for (let n = 0; n < 10; n += 1) {
    const { status, headers } = await service.post(notification({ case_id: `c${n}` }));
    expect(status).toBe(200);
    const found = await service.get(`/v1/notifications/${headers.get('x-request-id')}`);
    expect(found.body['verdict']).toBe('first'); // at once, not by the spool
  }
  const answers = await Promise.all(refused);
  expect(statuses(answers)).toEqual({ 400: 200 });
  await holder.query('COMMIT');
  await holder.end();
  await expect.poll(async () => usage(), POLL).toMatchObject({ rows: 200, is_right: true });
});

test('a refused body that PostgreSQL does not take harms none of those that travel with it', async () => {
  const [service] = (await start(1, {})) as [TestService];
  await database?.query(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = '54000'; END $$`);
  await database?.query(`
    CREATE TRIGGER refuse BEFORE INSERT ON quarantined_notifications FOR EACH ROW
    WHEN (NEW.case_id = 'poison') EXECUTE FUNCTION refuse()`);
  const answers = await Promise.all(
    Array.from({ length: 40 }, async (_, n) =>
      service.post(notification({ case_id: n === 20 ? 'poison' : `neighbour ${n}`, rows: 1 })),
    ),
  );
  expect(statuses(answers)).toEqual({ 400: 40 });
  expect((await service.get('/health/ready')).body).toMatchObject({ spool: 'holding', spooled: 1 });
  expect(await usage()).toMatchObject({ rows: 39, is_right: true });
  await database?.query(`DROP TRIGGER refuse ON quarantined_notifications`);
  await expect.poll(async () => usage(), POLL).toMatchObject({ rows: 40, is_right: true });
  expect((await service.get(`/v1/quarantine/${answers[20]?.body['request_id']}`)).status).toBe(200);
});

/** Until this is undone PostgreSQL takes neither notifications nor refused bodies: they go to the spool. */
async function breakTables(service: TestService): Promise<() => Promise<void>> {
  const tables = ['notifications', 'quarantined_notifications'];
  for (const table of tables) await database?.query(`ALTER TABLE ${table} RENAME TO ${table}_gone`);
  expect((await service.post(notification({ case_id: 'the first that is spooled' }))).status).toBe(200);
  return async () => {
    for (const table of tables) await database?.query(`ALTER TABLE ${table}_gone RENAME TO ${table}`);
  };
}

test('what was refused while PostgreSQL was away is brought in though that is beyond the cap; where it was full before, it is 503', async () => {
  const [service] = (await start(1, { quarantineMaxRows: 3 })) as [TestService];
  for (const body of ['{ 1', '{ 2']) expect((await service.post(body)).status).toBe(400);
  const mend = await breakTables(service);
  const meanwhile = await sendAll(['{ 3', '{ 4', '{ 5', '{ 6'], async (body) => service.post(body));
  expect(statuses(meanwhile)).toEqual({ 400: 4 });
  expect((await service.post(notification({ case_id: 'behind them' }))).status).toBe(200);
  await mend();
  await expect.poll(async () => (await service.get('/health/ready')).body['spool'], POLL).toBe('empty');
  for (const { body } of meanwhile)
    expect((await service.get(`/v1/quarantine/${body['request_id']}`)).status).toBe(200);
  expect((await service.get('/v1/cases?case_id=behind%20them')).body['data']).toHaveLength(1);
  expect(await usage()).toMatchObject({ rows: 6, is_right: true });
  expect((await service.post('{ 7')).body['code']).toBe('quarantine_full');

  const mendAgain = await breakTables(service);
  expect((await service.post('{ 8')).body['code']).toBe('quarantine_full');
  expect((await service.post(notification({ case_id: 'valid meanwhile' }))).status).toBe(200);
  await mendAgain();
  await expect.poll(async () => (await service.get('/health/ready')).body['spool'], POLL).toBe('empty');
  expect(await usage()).toMatchObject({ rows: 6, is_right: true });
});

test('a refused body is kept although PostgreSQL ends the sessions that were to write it', async () => {
  const [service] = (await start(1, {})) as [TestService];
  const { database: shared } = service;
  const release = await hold(shared, 'SELECT FROM quarantine_usage FOR UPDATE');
  const { status, body } = await service.post('{ kept');
  expect(status).toBe(400);
  await expect.poll(async () => countBlocked(shared), POLL).toBe(2); // the door gave its session up, the drainer has another
  await shared.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0`,
  );
  await release();
  await expect.poll(async () => (await service.get(`/v1/quarantine/${body['request_id']}`)).status, POLL).toBe(200);
  expect(await usage()).toMatchObject({ rows: 1, is_right: true });
});

test('while PostgreSQL is away refused bodies take a tenth of the spool and no more: the rest is for valid ones', async () => {
  const [service] = (await start(1, { spoolMaxBytes: 1_000_000 })) as [TestService];
  const mend = await breakTables(service);
  const answers = await sendAll(
    Array.from({ length: 300 }, (_, n) => `{ ${n}`.padEnd(2_000)),
    async (body) => service.post(body),
  );
  const { 400: kept = 0, ...rest } = statuses(answers);
  expect(kept).toBeGreaterThan(30);
  expect(kept * 2_000).toBeLessThan(100_000);
  expect(rest).toEqual({ 503: 300 - kept });
  const valid = Array.from({ length: 200 }, (_, n) => notification({ case_id: `c${n}` }));
  expect(statuses(await sendAll(valid, async (body) => service.post(body)))).toEqual({ 200: 200 });
  await mend();
  await expect.poll(async () => (await service.get('/health/ready')).body['spool'], POLL).toBe('empty');
  expect(await usage()).toMatchObject({ rows: kept, is_right: true });
  expect((await service.get('/v1/cases?include_total=true&limit=1')).body['total']).toBe(201);
});
