import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
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
  await client.query(`COMMIT`);
  await client.end();
  expect((await answer).status).toBe(200);
});
