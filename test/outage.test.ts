import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { migrate } from '../src/database/migrate.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/local/embedded-postgres.js';
import { type Answer, notification, startService, type TestService } from './support/service.js';

let directory: string;
let postgres: EmbeddedPostgres;
let service: TestService;
let port: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'airudder-outage-'));
  postgres = await startEmbeddedPostgres(path.join(directory, 'postgres'), 'test');
  ({ port } = new URL(postgres.url()));
  await migrate(postgres.url());
  service = await startService({ database: databaseAt(postgres.url()) });
});
afterAll(async () => {
  await service.stop();
  await postgres.stop();
  await rm(directory, { recursive: true });
});

function databaseAt(url: string): TestService['database'] {
  return { url, query: async () => [], drop: async () => undefined };
}

function expectUnavailable(answer: Answer): void {
  expect(answer.status).toBe(503);
  expect(answer.headers.get('retry-after')).toBe('5');
  expect(answer.body['code']).toBe('service_unavailable');
}

test('while PostgreSQL is away nothing is acknowledged and nobody is blamed; once it is back all goes on', async () => {
  expect((await service.post(notification({ case_id: 'before' }))).status).toBe(200);
  expect((await service.get('/health/ready')).body).toEqual({ status: 'ready', postgres: 'up' });

  await postgres.stop();
  expectUnavailable(await service.post(notification({ case_id: 'meanwhile' })));
  expectUnavailable(await service.post('{ malformed'));
  expectUnavailable(await service.get('/v1/cases'));
  const ready = await service.get('/health/ready');
  expect(ready.status).toBe(503);
  expect(ready.body).toEqual({ status: 'not_ready', postgres: 'down' });
  expect((await service.get('/health/live')).status).toBe(200);
  expect((await service.get('/metrics')).text).toMatch('refused_total{reason="service_unavailable"} 2');

  postgres = await startEmbeddedPostgres(path.join(directory, 'postgres'), 'test', { port });
  expect((await service.post(notification({ case_id: 'after' }))).status).toBe(200);
  const { body } = await service.get('/v1/cases');
  expect(body['data'].map((each: { case_id: string }) => each.case_id)).toEqual(['after', 'before']);
  expect((await service.get('/v1/quarantine')).body['data']).toEqual([]);
});

test("a database that takes no writes is our own trouble, not the sender's", async () => {
  const client = new Client(postgres.url());
  await client.connect();
  const endOthers = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename IS NOT NULL`;
  await client.query(`ALTER DATABASE airudder SET default_transaction_read_only = on`);
  await client.query(endOthers);
  // The first requests may still meet a connection that was just ended: that is a 503 too.
  expectUnavailable(await service.post(notification({ case_id: 'read only' })));
  expectUnavailable(await service.post(notification({ case_id: 'read only' })));
  expectUnavailable(await service.post('{ malformed'));
  await client.query(`SET default_transaction_read_only = off`);
  await client.query(`ALTER DATABASE airudder RESET default_transaction_read_only`);
  await client.query(endOthers);
  await client.end();
  await expect.poll(async () => (await service.post(notification({ case_id: 'read only' }))).status).toBe(200);
});

test('a transaction that somebody holds open on the case delays the answer, and loses nothing', async () => {
  await service.post(notification({ case_id: 'held' }));
  const client = new Client(postgres.url());
  await client.connect();
  await client.query(`BEGIN`);
  await client.query(`SELECT FROM cases WHERE case_id = 'held' FOR UPDATE`);
  const answer = service.post(notification({ case_id: 'held' }));
  const other = await service.post(notification({ case_id: 'not held' }));
  expect(other.status).toBe(200);
  const first = await Promise.race([answer.then(() => 'answered'), sleep(300).then(() => 'pending')]);
  expect(first).toBe('pending');
  await client.query(`COMMIT`);
  await client.end();
  expect((await answer).status).toBe(200);
  const [found] = (await service.get('/v1/cases?case_id=held')).body['data'];
  expect(found.notification_count).toBe(2);
});

test('a process that hangs in the middle of a transaction does not keep its cases locked', async () => {
  await service.post(notification({ case_id: 'hung' }));
  const client = new Client({ connectionString: postgres.url(), idle_in_transaction_session_timeout: 5_000 });
  client.on('error', () => undefined);
  await client.connect();
  await client.query(`BEGIN`);
  await client.query(`SELECT FROM cases WHERE case_id = 'hung' FOR UPDATE`);
  expect((await service.post(notification({ case_id: 'hung' }))).status).toBe(200);
  await client.end().catch(() => undefined);
  const settings = await service.app.get(DataSource).query(`SHOW idle_in_transaction_session_timeout`);
  expect(settings).toEqual([{ idle_in_transaction_session_timeout: '5s' }]);
});

test('any number of slow reads leaves the door open', async () => {
  const client = new Client(postgres.url());
  await client.connect();
  await client.query(`BEGIN`);
  await client.query(`LOCK TABLE instance_secrets IN ACCESS EXCLUSIVE MODE`); // only lists with a cursor read it
  let answered = 0;
  const reads = Array.from({ length: 25 }, async () => {
    const answer = await service.get('/v1/cases?limit=1');
    answered += 1;
    return answer;
  });
  await sleep(300);
  const statuses = [];
  for (let n = 0; n < 5; n += 1) statuses.push((await service.post(notification({ case_id: `open ${n}` }))).status);
  expect(statuses).toEqual([200, 200, 200, 200, 200]);
  expect((await service.get('/health/ready')).status).toBe(200);
  expect(answered).toBe(0);
  await client.query(`COMMIT`);
  await client.end();
  for (const read of await Promise.all(reads)) expect(read.status).toBe(200);
});

test('while PostgreSQL hangs nothing is acknowledged, and afterwards everything that is answered is kept', async () => {
  const pid = Number.parseInt(await readFile(path.join(directory, 'postgres', 'postmaster.pid'), 'utf8'), 10);
  const backends = (await postgresClient(`SELECT pid FROM pg_stat_activity WHERE usename IS NOT NULL`)).map(
    (row) => row['pid'] as number,
  );
  for (const each of [...backends, pid]) signal(each, 'SIGSTOP');
  const meanwhile = await Promise.all(
    Array.from({ length: 12 }, async (_, n) => service.post(notification({ case_id: `hang ${n}` }))),
  );
  for (const each of [pid, ...backends]) signal(each, 'SIGCONT');
  for (const answer of meanwhile) expect(answer.status).toBe(503);

  const refused: string[] = [];
  const accepted: string[] = [];
  for (let n = 0; n < 24; n += 1) {
    const bad = await service.post(`{ malformed ${n}`);
    if (bad.status === 400) refused.push(bad.body['request_id']);
    const good = await service.post(notification({ case_id: `after the hang ${n}` }));
    if (good.status === 200) accepted.push(good.headers.get('x-request-id') ?? '');
  }
  expect(refused.length).toBeGreaterThan(10);
  await sleep(1_000);
  for (const id of refused) expect((await service.get(`/v1/quarantine/${id}`)).status).toBe(200);
  for (const id of accepted) expect((await service.get(`/v1/notifications/${id}`)).status).toBe(200);
  const idle = await postgresClient(`SELECT FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'`);
  expect(idle).toEqual([]);
});

test('what the database itself cannot hold is refused and kept, and its neighbours are not harmed', async () => {
  await postgresClient(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = '54000'; END $$`);
  await postgresClient(`
    CREATE TRIGGER refuse BEFORE INSERT ON cases FOR EACH ROW WHEN (NEW.case_id = 'unstorable') EXECUTE FUNCTION refuse()`);
  const [refused, neighbour] = await Promise.all([
    service.post(notification({ case_id: 'unstorable' })),
    service.post(notification({ case_id: 'neighbour' })),
  ]);
  expect(refused.status).toBe(400);
  expect(refused.body['code']).toBe('unstorable');
  const kept = await service.get(`/v1/quarantine/${refused.body['request_id']}`);
  expect(kept.body).toMatchObject({ reason: 'unstorable', case_id: 'unstorable' });
  expect(neighbour.status).toBe(200);
});

async function postgresClient(text: string): Promise<Record<string, unknown>[]> {
  const client = new Client(postgres.url());
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

/** A backend may have ended meanwhile. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
