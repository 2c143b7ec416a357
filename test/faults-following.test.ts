import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { migrate } from '../src/database/migrate.js';
import { QueryRouter } from '../src/database/query-router.js';
import { DurablePostgres } from './support/durable-postgres.js';
import {
  READ_KEY,
  type Answer,
  type Json,
  notification,
  send,
  startService,
  type TestService,
} from './support/service.js';

const POLL = { timeout: 30_000, interval: 50 };

let directory: string;
let postgres: DurablePostgres;
let service: TestService;
let other: TestService;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'airudder-following-'));
  postgres = await DurablePostgres.make(directory);
  const url = await postgres.createDatabase();
  await migrate(url);
  const database = { url, query: async () => [], drop: async () => undefined };
  service = await startService({ database });
  other = await startService({ database });
});
afterAll(async () => {
  await service.stop();
  await other.stop();
  await postgres.kill();
  await rm(directory, { recursive: true });
});

afterEach(() => {
  vi.restoreAllMocks();
});

const complete = async (caseId: string, at = service): Promise<void> =>
  expect((await at.post(notification({ case_id: caseId }))).status).toBe(200);

async function ask(target: string, wait: number, body?: Json, at = service): Promise<Answer> {
  return send(`${at.url}${target}`, {
    method: body ? 'POST' : 'GET',
    headers: { authorization: `Bearer ${READ_KEY}`, prefer: `wait=${wait}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
}

/** Mirrors the feed as a client would, through whatever happens, until told to stop. */
function mirror(from: string, at: TestService): { told: string[]; stop(): Promise<void> } {
  const told: string[] = [];
  let isStopped = false;
  const isDone = (): boolean => isStopped;
  const following = (async () => {
    for (let cursor = from; ;) {
      const isLast = isDone();
      const { status, body } = await ask(`/v1/completions?limit=50&cursor=${cursor}`, 1, undefined, at);
      if (status === 200) {
        told.push(...(body['data'] as Json[]).map((event) => event['case'].case_id as string));
        cursor = body['next_cursor'] as string;
        if (isLast && body['caught_up'] === true) return;
      } else await sleep(100);
    }
  })();
  return {
    told,
    stop: async () => {
      isStopped = true;
      await following;
    },
  };
}

const now = async (): Promise<string> => (await ask('/v1/completions?from=now', 0)).body['next_cursor'] as string;
const isDrained = async (at: TestService): Promise<boolean> =>
  (await at.get('/health/ready')).body['spool'] === 'empty' &&
  (await at.get('/health/ready')).body['postgres'] === 'up';

test('who waits for a case, or at the end of the feed, waits on through a restart of PostgreSQL', async () => {
  const cursor = await now();
  const lookup = ask('/v1/cases/lookup', 60, { cases: [{ case_id: 'through a restart' }] });
  const feed = ask(`/v1/completions?cursor=${cursor}`, 60);
  await sleep(300);
  await postgres.kill();
  const asked = ask('/v1/cases/lookup', 60, { cases: [{ case_id: 'through a restart' }] }, other);
  await sleep(1_000);
  await postgres.start();
  await sleep(500);
  await complete('through a restart', other);
  for (const answer of await Promise.all([lookup, asked])) {
    expect(answer).toMatchObject({ status: 200, body: { data: [{ status: 'completed' }] } });
  }
  expect((await feed).body['data']).toMatchObject([{ case: { case_id: 'through a restart' } }]);
});

test('an answer given while notifications wait on disk tells that it cannot be relied on', async () => {
  const asked = { cases: [{ case_id: 'on disk' }] };
  const { body: before } = await ask('/v1/cases/lookup', 0, asked);
  expect(before).toMatchObject({ data: [{ status: 'not_seen' }], ingestion: { degraded: false } });
  await setReadOnly('on');
  await complete('on disk');
  const { body: meanwhile } = await ask('/v1/cases/lookup', 0, asked);
  expect(meanwhile).toMatchObject({ data: [{ status: 'not_seen' }], ingestion: { degraded: true } });
  expect((await ask('/v1/cases', 0)).body['ingestion']).toMatchObject({ degraded: true });
  const waiting = ask('/v1/cases/lookup', 60, asked, other);
  await setReadOnly('off');
  expect((await waiting).body).toMatchObject({ data: [{ status: 'completed' }] });
  await expect.poll(async () => isDrained(service), POLL).toBe(true);
  const { body: after } = await ask('/v1/cases/lookup', 0, asked);
  expect(after).toMatchObject({ data: [{ status: 'completed' }], ingestion: { degraded: false } });
});

test('an answer tells the same while a single notification waits on disk for a transaction that holds its case', async () => {
  await complete('held');
  await expect.poll(async () => isDrained(service), POLL).toBe(true);
  const holder = new Client(service.database.url);
  await holder.connect();
  try {
    await holder.query(`BEGIN; SELECT FROM cases WHERE case_id = 'held' FOR UPDATE`);
    await complete('held');
    await complete('not held');
    const asked = { cases: [{ case_id: 'not held' }] };
    expect((await ask('/v1/cases/lookup', 0, asked)).body).toMatchObject({
      data: [{ status: 'completed' }], // not spooled: PostgreSQL takes all others
      ingestion: { degraded: true },
    });
    expect((await ask('/v1/cases', 0)).body['ingestion']).toMatchObject({ degraded: true });
  } finally {
    await holder.end();
  }
  await expect.poll(async () => isDrained(service), POLL).toBe(true);
  expect((await ask('/v1/cases', 0)).body['ingestion']).toMatchObject({ degraded: false });
});

test.each(['/v1/cases/lookup', '/v1/cases?case_id=drained'])(
  'an answer of %s tells so too if the spool is drained after PostgreSQL gave it',
  async (target) => {
    const caseId = `drained for ${target}`;
    await setReadOnly('on');
    await complete(caseId);
    const isLookup = target.endsWith('lookup');
    const held = heldAnswer();
    const answer = ask(target, 0, isLookup ? { cases: [{ case_id: caseId }] } : undefined);
    const letGo = await held;
    await setReadOnly('off');
    await expect.poll(async () => isDrained(service), POLL).toBe(true);
    letGo();
    const { body } = await answer;
    expect(body).toMatchObject({ data: isLookup ? [{ status: 'not_seen' }] : [], ingestion: { degraded: true } });
  },
);

/** Holds back the next answer of PostgreSQL to a read. Returns once it is there, with what lets it go. */
async function heldAnswer(): Promise<() => void> {
  const reads = service.app.get(QueryRouter);
  const query = reads.query.bind(reads);
  return new Promise((hold) => {
    vi.spyOn(reads, 'query').mockImplementationOnce(async (text, values) => {
      const rows = await query(text, values);
      await new Promise<void>((letGo) => hold(letGo));
      return rows;
    });
  });
}

/** Reads go on, and writes fail, as on a server that has failed over to a standby. */
async function setReadOnly(value: 'on' | 'off'): Promise<void> {
  const name = new URL(service.database.url).pathname.slice(1);
  await postgres.query('postgres', `ALTER DATABASE ${name} SET default_transaction_read_only = ${value}`);
  await postgres.query('postgres', `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`);
}

test('through outages, kills of PostgreSQL and drained spools the feed tells everything once', async () => {
  const mirrors = await Promise.all([service, other].map(async (at) => mirror(await now(), at)));
  const sent: string[] = [];
  let isSending = true;
  const isOn = (): boolean => isSending;
  const senders = [service, other].flatMap((at, replica) =>
    Array.from({ length: 4 }, async (_, sender) => {
      for (let count = 0; isOn(); count += 1) {
        const caseId = `${replica}-${sender}-${count}`;
        const { status } = await at.post(notification({ case_id: caseId }));
        if (status === 200) sent.push(caseId);
        await sleep(Math.random() * 20);
      }
    }),
  );
  for (let round = 0; round < 2; round += 1) {
    await sleep(700);
    await postgres.kill();
    await sleep(700);
    await postgres.start();
  }
  await sleep(500);
  isSending = false;
  await Promise.all(senders);
  for (const at of [service, other]) await expect.poll(async () => isDrained(at), POLL).toBe(true);
  expect(sent.length).toBeGreaterThan(0);
  for (const mirrored of mirrors) {
    await expect.poll(() => mirrored.told.length, POLL).toBeGreaterThanOrEqual(sent.length);
    await mirrored.stop();
    expect(mirrored.told.toSorted()).toEqual(sent.toSorted());
  }
});
