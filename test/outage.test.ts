import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { migrate } from '../src/database/migrate.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/local/embedded-postgres.js';
import { CLUSTER_PASSWORD, copyCluster } from './support/cluster.js';
import { queryAt } from './support/query-at.js';
import { type Json, notification, startService, type TestService } from './support/service.js';
import { stopTimers, withStoppedTimers } from './support/timers.js';

const READY = { status: 'ready', postgres: 'up', spool: 'empty', spooled: 0, quarantine: 'ok' };
const POLL = { timeout: 30_000, interval: 50 };

let directory: string;
let postgres: EmbeddedPostgres;
let service: TestService;
let port: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'airudder-outage-'));
  await copyCluster(path.join(directory, 'postgres'));
  postgres = await startEmbeddedPostgres(path.join(directory, 'postgres'), CLUSTER_PASSWORD);
  ({ port } = new URL(postgres.url()));
  await migrate(postgres.url());
  await ask(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = '54000'; END $$`);
  await ask(`
    CREATE TRIGGER refuse BEFORE INSERT ON cases FOR EACH ROW
    WHEN (NEW.case_id LIKE 'unstorable%') EXECUTE FUNCTION refuse()`);
  service = await startService({ database: databaseAt(postgres.url()) });
});
afterAll(async () => {
  await service.stop();
  await postgres.stop();
  await rm(directory, { recursive: true });
});
afterEach(() => vi.useRealTimers());

function databaseAt(url: string): TestService['database'] {
  return { url, query: async () => [], drop: async () => undefined };
}

test('while PostgreSQL is away notifications are accepted, and refused ones kept; all are found once it is back', async () => {
  expect((await service.post(notification({ case_id: 'before' }))).status).toBe(200);
  expect((await service.get('/health/ready')).body).toEqual(READY);

  await postgres.stop();
  const meanwhile = await service.post(notification({ case_id: 'meanwhile' }));
  expect([meanwhile.status, meanwhile.text]).toEqual([200, '{}']);
  const refused = await service.post('{ malformed');
  expect(refused.body).toMatchObject({ status: 400, code: 'not_json' });
  expect((await service.get('/v1/cases')).body).toMatchObject({ status: 503, code: 'service_unavailable' });
  const ready = await service.get('/health/ready');
  expect(ready.status).toBe(200);
  expect(ready.body).toEqual({
    status: 'ready',
    postgres: 'down',
    spool: 'holding',
    spooled: 2,
    quarantine: 'unknown',
  });
  const metrics = (await service.get('/metrics')).text;
  expect(metrics).toMatch('accepted_total{verdict="spooled"} 1');
  expect(metrics).toMatch(/^airudder_door_spooling 1$/m);
  expect(metrics).toMatch(/^airudder_spool_notifications 2$/m);

  postgres = await startEmbeddedPostgres(path.join(directory, 'postgres'), CLUSTER_PASSWORD, { port });
  await expect.poll(async () => (await service.get('/health/ready')).body, POLL).toEqual(READY);
  expect((await service.post(notification({ case_id: 'after' }))).status).toBe(200);
  const { body } = await service.get('/v1/cases?order=asc');
  expect(body['data'].map((each: { case_id: string }) => each.case_id)).toEqual(['before', 'meanwhile', 'after']);
  const found = await service.get(`/v1/notifications/${meanwhile.headers.get('x-request-id')}`);
  expect(found.body).toMatchObject({ verdict: 'first' });
  const kept = await service.get(`/v1/quarantine/${refused.body['request_id']}`);
  expect(kept.body).toMatchObject({ reason: 'not_json', count: 1 });
});

test("a database that takes no writes is our own trouble, not the sender's", async () => {
  const client = new Client(postgres.url());
  await client.connect();
  const endOthers = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename IS NOT NULL`;
  await client.query(`ALTER DATABASE airudder SET default_transaction_read_only = on`);
  await client.query(endOthers);
  expect((await service.post(notification({ case_id: 'read only' }))).status).toBe(200);
  expect((await service.post('{ malformed, read only')).status).toBe(400);
  expect((await service.get('/health/ready')).body).toMatchObject({ status: 'ready', postgres: 'down', spooled: 2 });
  await client.query(`SET default_transaction_read_only = off`);
  await client.query(`ALTER DATABASE airudder RESET default_transaction_read_only`);
  await client.query(endOthers);
  await client.end();
  await expect.poll(async () => (await service.get('/health/ready')).body, POLL).toEqual(READY);
  expect((await service.get('/v1/cases?case_id=read%20only')).body['data']).toHaveLength(1);
});

test('a transaction that somebody holds open on a case delays no other notification, and loses nothing', async () => {
  await service.post(notification({ case_id: 'held' }));
  const client = new Client(postgres.url());
  await client.connect();
  await client.query(`BEGIN`);
  await client.query(`SELECT FROM cases WHERE case_id = 'held' FOR UPDATE`);
  const order: string[] = [];
  const held = service.post(notification({ case_id: 'held' })).then((answer) => (order.push('held'), answer));
  const others = Array.from({ length: 5 }, async (_, n) => service.post(notification({ case_id: `not held ${n}` })));
  for (const other of others) expect((await other).status).toBe(200);
  order.push('others');
  expect((await held).status).toBe(200); // from the spool
  expect(order).toEqual(['others', 'held']);
  const next = await service.post(notification({ case_id: 'not held either' }));
  expect((await service.get(`/v1/notifications/${next.headers.get('x-request-id')}`)).status).toBe(200);
  expect((await service.get('/v1/cases?case_id=held')).body['data'][0].notification_count).toBe(1);
  await client.query(`COMMIT`);
  await client.end();
  await expect
    .poll(async () => (await service.get('/v1/cases?case_id=held')).body['data'][0].notification_count, POLL)
    .toBe(2);
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
  await client.query(`LOCK TABLE reveals IN ACCESS EXCLUSIVE MODE`); // only the audit list reads it
  let answered = 0;
  const reads = Array.from({ length: 25 }, async () => {
    const answer = await service.get('/v1/audit?limit=1');
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

test('while PostgreSQL hangs notifications are accepted within a second, and the late commits write nothing twice', async () => {
  const pid = Number.parseInt(await readFile(path.join(directory, 'postgres', 'postmaster.pid'), 'utf8'), 10);
  const backends = await ask<{ pid: number }>(`SELECT pid FROM pg_stat_activity WHERE usename IS NOT NULL`);
  for (const each of [...backends, { pid }]) signal(each.pid, 'SIGSTOP');
  const meanwhile = [
    ...Array.from({ length: 12 }, async (_, n) => service.post(notification({ case_id: `hang ${n}` }))),
    ...Array.from({ length: 3 }, async (_, n) => service.post(`{ malformed ${n}, while it hangs`)),
  ];
  const answers = await Promise.all(meanwhile);
  expect(answers.map(({ status }) => status)).toEqual([...Array<number>(12).fill(200), ...Array<number>(3).fill(400)]);
  for (const each of [{ pid }, ...backends]) signal(each.pid, 'SIGCONT');
  await expect.poll(async () => (await service.get('/health/ready')).body, POLL).toEqual(READY);

  for (const answer of answers.slice(0, 12)) {
    const found = await service.get(`/v1/notifications/${answer.headers.get('x-request-id')}`);
    expect(found.body).toMatchObject({ verdict: 'first' });
  }
  const cases = (await service.get('/v1/cases?limit=1000')).body['data'] as Json[];
  const hung = cases.filter((each) => (each['case_id'] as string).startsWith('hang '));
  expect(hung.map((each) => each['notification_count'])).toEqual(Array<number>(12).fill(1));
  const kept = (await service.get('/v1/quarantine?limit=1000')).body['data'] as Json[];
  for (const { body } of answers.slice(12)) expect(kept.map(({ id }) => id)).toContain(body['request_id']);
  await expect
    .poll(async () => ask(`SELECT FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'`), POLL)
    .toEqual([]);
});

test('what the database itself will not take is refused and kept with its reason, and its neighbours are not harmed', async () => {
  const answers = await withStoppedTimers(async () =>
    Promise.all(
      Array.from({ length: 60 }, async (_, n) =>
        service.post(notification({ case_id: n % 20 === 7 ? `unstorable ${n}` : `neighbour ${n}` })),
      ),
    ),
  );
  for (const [n, answer] of answers.entries()) {
    const id = answer.headers.get('x-request-id');
    if (n % 20 === 7) {
      expect(answer.body).toMatchObject({ status: 400, code: 'unstorable' });
      const kept = await service.get(`/v1/quarantine/${id}`);
      expect(kept.body).toMatchObject({ reason: 'unstorable', case_id: `unstorable ${n}` });
      expect(kept.body['errors'][0].message).toMatch('SQLSTATE 54000');
    } else {
      expect(answer.status).toBe(200);
      expect((await service.get(`/v1/notifications/${id}`)).body).toMatchObject({ verdict: 'first' });
    }
  }
});

test('what the database refuses only at its commit is not acknowledged, and its neighbours are not harmed', async () => {
  await ask(`
    CREATE CONSTRAINT TRIGGER refuse_late AFTER UPDATE ON cases DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.case_id = 'refused late') EXECUTE FUNCTION refuse()`);
  const caseIds = ['refused late', 'known 1', 'known 2'];
  for (const case_id of caseIds) await service.complete(notification({ case_id }));
  stopTimers();
  const answers = await Promise.all(caseIds.map(async (case_id) => service.post(notification({ case_id, more: 1 }))));
  expect(answers.map(({ status }) => status)).toEqual([400, 200, 200]);
  const timelines = answers.map(async ({ headers }) => service.get(`/v1/notifications/${headers.get('x-request-id')}`));
  expect((await Promise.all(timelines)).map(({ body }) => body['verdict'])).toEqual([undefined, 'changed', 'changed']);
});

test('what comes from the spool and will not be taken is kept in quarantine, and holds up nothing behind it', async () => {
  await postgres.stop();
  for (const case_id of ['spooled 1', 'unstorable and spooled', 'spooled 2']) {
    expect((await service.post(notification({ case_id }))).status).toBe(200);
  }
  postgres = await startEmbeddedPostgres(path.join(directory, 'postgres'), CLUSTER_PASSWORD, { port });
  await expect.poll(async () => (await service.get('/health/ready')).body, POLL).toEqual(READY);
  expect((await service.get('/v1/cases?case_id=spooled%201')).body['data']).toHaveLength(1);
  expect((await service.get('/v1/cases?case_id=spooled%202')).body['data']).toHaveLength(1);
  const kept = (await service.get('/v1/quarantine?limit=1000')).body['data'] as Json[];
  expect(kept.find((each) => each['case_id'] === 'unstorable and spooled')).toMatchObject({ reason: 'unstorable' });
});

test('what was accepted while PostgreSQL was away is brought there oldest first, in more than one batch', async () => {
  const { body } = await service.get('/v1/completions?from=now');
  await postgres.stop();
  const caseIds = Array.from({ length: 9 }, (_, n) => `queued ${n}`);
  for (const case_id of caseIds) await service.complete(notification({ case_id, padding: 'x'.repeat(1_000_000) }));
  postgres = await startEmbeddedPostgres(path.join(directory, 'postgres'), 'test', { port });
  const read = async (): Promise<string[]> => {
    const answer = await service.get(`/v1/completions?cursor=${body['next_cursor']}`);
    return answer.body['data']?.map((event: Json) => event['case'].case_id);
  };
  await expect.poll(read, POLL).toEqual(caseIds);
});

async function ask<R extends object>(text: string): Promise<R[]> {
  return queryAt<R>(postgres.url(), text);
}

/** A backend may have ended meanwhile. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
