import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { migrate } from '../src/database/migrate.js';
import { beginCase } from './support/begin-case.js';
import type { TestDatabase } from './support/database.js';
import { ReplicatedPostgres, type Standby } from './support/replicated-postgres.js';
import {
  ALL_KEY,
  type Answer,
  type Json,
  notification,
  READ_KEY,
  send,
  startService,
  type TestService,
} from './support/service.js';
import { metric } from './support/stage.js';

const POLL = { timeout: 20_000, interval: 20 };

let postgres: ReplicatedPostgres;
let one: Standby;
let two: Standby;
let database: TestDatabase;
/** Reads the first standby. */
let service: TestService;
/** Reads both. */
let both: TestService;
/** Reads the primary. */
let plain: TestService;

beforeAll(async () => {
  postgres = await ReplicatedPostgres.make();
  [one, two] = postgres.standbys;
  database = await postgres.createDatabase();
  service = await startOn(database, one);
  both = await startOn(database, one, two);
  plain = await startOn(database);
});
afterEach(async () => {
  for (const standby of postgres.standbys) await standby.resumeReplay();
  await postgres.caughtUp();
});
afterAll(async () => {
  for (const each of [service, both, plain]) await each.stop();
  await database.drop();
  await postgres.remove();
});

async function startOn(at: TestDatabase, ...standbys: readonly Standby[]): Promise<TestService> {
  return startService({ database: at, config: { databaseReadUrls: standbys.map((each) => each.urlOf(at.url)) } });
}

/** Completes a new case. */
async function complete(at = service): Promise<string> {
  const case_id = randomUUID();
  expect((await at.post(notification({ case_id }))).status).toBe(200);
  return case_id;
}

async function isListed(caseId: string, at = service): Promise<boolean> {
  const { status, body } = await at.get(`/v1/cases?case_id=${caseId}`);
  expect(status).toBe(200);
  return (body['data'] as Json[]).length > 0;
}

async function lookUp(caseId: string, headers: Record<string, string> = {}): Promise<Answer> {
  return send(`${service.url}/v1/cases/lookup`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ALL_KEY}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ cases: [{ case_id: caseId }] }),
  });
}

async function readFeed(at: TestService, parameters: Record<string, string>, wait = 0, key = ALL_KEY): Promise<Json> {
  const headers = { authorization: `Bearer ${key}`, ...(wait > 0 && { prefer: `wait=${wait}` }) };
  const { status, body } = await send(`${at.url}/v1/completions?${new URLSearchParams(parameters).toString()}`, {
    headers,
  });
  expect(status).toBe(200);
  return body;
}

const caseIds = ({ data }: Json): string[] => (data as Json[]).map((event) => event['case'].case_id as string);
const now = async (at = service): Promise<string> => (await readFeed(at, { from: 'now' }))['next_cursor'] as string;
const failures = async (at: TestService, code: string): Promise<number> =>
  metric(at.url, `airudder_replica_failures_total{code="${code}"}`);

describe('a replica that lags', () => {
  test('is where lists are read: what it has not replayed yet comes later', async () => {
    expect(await one.isInRecovery()).toBe(true);
    await one.pauseReplay();
    const caseId = await complete();
    expect(await isListed(caseId)).toBe(false);
    expect(await isListed(caseId, plain)).toBe(true);
    await one.resumeReplay();
    await expect.poll(async () => isListed(caseId), POLL).toBe(true);
  });

  test('holds up nobody who waits for a case, and says of a case not seen how much it knows', async () => {
    await complete();
    await postgres.caughtUp();
    await one.pauseReplay();
    const before = (await lookUp('nobody')).body['ingestion'] as Json;
    const caseId = randomUUID();
    const waiting = lookUp(caseId, { prefer: 'wait=60' });
    await sleep(300);
    expect((await service.post(notification({ case_id: caseId }))).status).toBe(200);
    expect((await waiting).body['data']).toMatchObject([{ status: 'completed' }]);
    expect((await lookUp(caseId)).body).toMatchObject({ data: [{ status: 'not_seen' }], ingestion: before });
  });

  test('holds up nobody who waits at the end of the feed, and repeats nothing that was told meanwhile', async () => {
    const cursor = await now();
    await one.pauseReplay();
    const waiting = readFeed(service, { cursor }, 60);
    await sleep(300);
    const first = await complete();
    const told = await waiting;
    expect(caseIds(told)).toEqual([first]);
    const next = told['next_cursor'] as string;
    expect(await readFeed(service, { cursor: next })).toMatchObject({ data: [], next_cursor: next });
    const second = await complete();
    expect(caseIds(await readFeed(service, { cursor: next }, 60))).toEqual([second]);
    await one.resumeReplay();
    await postgres.caughtUp();
    expect(caseIds(await readFeed(service, { cursor: next }))).toEqual([second]);
  });

  test('from=now begins at the end of all that is committed, not where the replica is', async () => {
    await one.pauseReplay();
    await complete();
    const cursor = await now();
    const later = await complete();
    await one.resumeReplay();
    await postgres.caughtUp();
    expect(caseIds(await readFeed(service, { cursor }))).toEqual([later]);
  });

  test('streams at once what is committed', async () => {
    const cursor = await now();
    await one.pauseReplay();
    const headers = { authorization: `Bearer ${ALL_KEY}` };
    const response = await fetch(`${service.url}/v1/completions/stream?cursor=${cursor}`, { headers });
    const caseId = await complete();
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      if (text.includes('data:')) break;
    }
    expect(text).toContain(caseId);
  });

  test('hides nothing that is asked for by its id', async () => {
    await one.pauseReplay();
    const workflow_id = randomUUID();
    const { headers } = await service.post(notification({ workflow_id, case_id: randomUUID() }));
    const id = headers.get('x-request-id');
    const refused = (await service.post({ callee_number: 1 })).headers.get('x-request-id');
    const { body } = await plain.get(`/v1/cases?workflow_id=${workflow_id}`);
    const [found] = body['data'] as Json[];
    for (const path of [
      `/v1/notifications/${id}`,
      `/v1/cases/${found?.['id']}`,
      `/v1/cases/${found?.['id']}/notifications`,
      `/v1/workflows/${workflow_id}`,
      `/v1/workflows/${workflow_id}/node-tasks`,
      `/v1/quarantine/${refused}`,
    ]) {
      expect(await service.get(path)).toMatchObject({ status: 200, text: (await plain.get(path)).text });
    }
    expect((await service.get(`/v1/cases/${randomUUID()}`)).status).toBe(404);
  });
});

describe('the feed', () => {
  test('what a transaction commits late comes late from a replica too, and nothing that began after it is told before it', async () => {
    const cursor = await now();
    const slow = await beginCase(database, 'slow');
    const aborted = await beginCase(database, 'aborted');
    const caseId = await complete();
    await expect.poll(async () => isListed(caseId), POLL).toBe(true);
    expect(await readFeed(service, { cursor })).toMatchObject({ data: [], caught_up: true });
    await aborted.rollback();
    await slow.commit();
    await expect.poll(async () => caseIds(await readFeed(service, { cursor })), POLL).toEqual(['slow', caseId]);
  });

  test('its pages, from replicas that lag differently and from the primary, have each event once', async () => {
    let cursor = await now();
    const written = new AbortController();
    const told: string[] = [];
    const follow = async (): Promise<void> => {
      const at = Math.random() < 0.8 ? both : plain;
      const page = await readFeed(at, { cursor, limit: '3' }, Math.random() < 0.1 ? 1 : 0);
      told.push(...caseIds(page));
      cursor = page['next_cursor'] as string;
    };
    const reading = (async () => {
      while (!written.signal.aborted) await follow();
    })();
    const lagging = postgres.standbys.map(async (standby) => {
      while (!written.signal.aborted) {
        await standby.pauseReplay();
        await sleep(Math.random() * 200);
        await standby.resumeReplay();
        await sleep(Math.random() * 200);
      }
    });
    const expected = await Promise.all(Array.from({ length: 8 }, async (_, writer) => write(`writer ${writer}`)));
    written.abort();
    await Promise.all([reading, ...lagging]);
    await expect
      .poll(async () => {
        await follow();
        return told.length;
      }, POLL)
      .toBeGreaterThanOrEqual(expected.flat().length);
    await postgres.caughtUp();
    for (let round = 0; round < 10; round += 1) await follow();
    expect(told.toSorted()).toEqual(expected.flat().toSorted());
  });

  /** Transactions that stay open for a while; some of them come to nothing. */
  async function write(name: string): Promise<string[]> {
    const written: string[] = [];
    for (let round = 0; round < 12; round += 1) {
      const caseId = `${name}, round ${round}`;
      const transaction = await beginCase(database, caseId);
      await sleep(Math.random() * 200);
      if (Math.random() < 0.2) await transaction.rollback();
      else {
        await transaction.commit();
        written.push(caseId);
      }
    }
    return written;
  }
});

describe('a replica that cannot be read', () => {
  test('takes no read with it, and is read again when it is back', async () => {
    const before = await complete();
    await postgres.caughtUp();
    await one.postgres.stop();
    const meanwhile = await complete();
    for (let round = 0; round < 20; round += 1) {
      expect(await isListed(before)).toBe(true);
      expect(await isListed(meanwhile)).toBe(true);
      expect(await isListed(before, both)).toBe(true);
    }
    expect(await failures(service, 'ECONNREFUSED')).toBeGreaterThan(0);
    await one.postgres.start();
    await one.pauseReplay();
    const later = await complete();
    await expect.poll(async () => isListed(later), POLL).toBe(false);
  });

  test('does not stop the start, and is read when it comes', async () => {
    await one.postgres.stop();
    const early = await startOn(database, one, two);
    const alone = await startOn(database, one);
    try {
      const caseId = await complete(alone);
      expect(await isListed(caseId, alone)).toBe(true);
      await expect.poll(async () => isListed(caseId, early), POLL).toBe(true);
      await one.postgres.start();
      await one.pauseReplay();
      const later = await complete(alone);
      await expect.poll(async () => isListed(later, alone), POLL).toBe(false);
    } finally {
      await early.stop();
      await alone.stop();
      await one.postgres.start();
    }
  });

  test('because it cancels what is in the way of its replay, leaves the answer to the primary', async () => {
    const own = await postgres.createDatabase();
    const reader = await startOn(own, one);
    try {
      await complete(reader);
      await own.query('ALTER TABLE workflows RENAME TO kept');
      // On the replica, and nowhere else, who reads it falls asleep.
      await own.query(`
        CREATE VIEW workflows AS SELECT * FROM kept
        WHERE CASE WHEN pg_is_in_recovery() THEN pg_sleep(600)::text = '' ELSE true END`);
      await postgres.caughtUp(one);
      const reading = reader.get('/v1/workflows');
      const asleep = `SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'`;
      await expect.poll(async () => (await one.postgres.query('postgres', asleep)).length, POLL).toBe(1);
      await own.query('BEGIN; LOCK TABLE kept IN ACCESS EXCLUSIVE MODE; COMMIT');
      expect(await reading).toMatchObject({
        status: 200,
        body: { data: [notification().workflow_id].map((workflow_id) => ({ workflow_id })) },
      });
      expect(await failures(reader, '40001')).toBe(1);
    } finally {
      await reader.stop();
      await own.drop();
    }
  });

  test('because its data is damaged, leaves the answer to the primary', async () => {
    const own = await postgres.createDatabase();
    const reader = await startOn(own, one);
    try {
      await complete(reader);
      await own.query(`
        CREATE FUNCTION damage() RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION USING ERRCODE = 'data_corrupted'; END $$`);
      await own.query('ALTER TABLE workflows RENAME TO kept');
      await own.query(`
        CREATE VIEW workflows AS SELECT * FROM kept
        WHERE CASE WHEN pg_is_in_recovery() THEN damage() ELSE true END`);
      await postgres.caughtUp(one);
      expect(await reader.get('/v1/workflows')).toMatchObject({ status: 200, body: { data: [{}] } });
      expect(await failures(reader, 'XX001')).toBe(1);
    } finally {
      await reader.stop();
      await own.drop();
    }
  });

  test('because it does not have the tables yet, leaves the answer to the primary, cursors included', async () => {
    const own = await postgres.createDatabase({ empty: true });
    await one.pauseReplay();
    await migrate(own.url);
    const reader = await startOn(own, one);
    try {
      const caseIdsPosted = [await complete(reader), await complete(reader)];
      expect((await reader.get('/v1/stats/completions?interval=day')).body).toMatchObject({ total: 2 });
      const { body: first } = await reader.get('/v1/cases?limit=1&order=asc');
      const { body: second } = await reader.get(`/v1/cases?limit=1&order=asc&cursor=${first['next_cursor']}`);
      const listed = [...(first['data'] as Json[]), ...(second['data'] as Json[])];
      const exported = await reader.get('/v1/cases/export?format=ndjson&order=asc');
      expect(exported.text.trim().split('\n')).toHaveLength(2);
      expect(listed.map(({ case_id }) => case_id as string)).toEqual(caseIdsPosted);
      await one.resumeReplay();
      await postgres.caughtUp(one);
      expect(await isListed(caseIdsPosted[0] ?? '', reader)).toBe(true);
    } finally {
      await reader.stop();
      await own.drop();
    }
  });

  test('because it is no standby, but written to itself, is not read at all', async () => {
    const other = await postgres.createDatabase();
    const config = { databaseReadUrls: [other.url] };
    const reader = await startService({ database, config });
    try {
      expect(await isListed(await complete(reader), reader)).toBe(true);
      expect(await failures(reader, 'ENOTASTANDBY')).toBeGreaterThan(0);
    } finally {
      await reader.stop();
      await other.drop();
    }
  });

  test('the pools of the replicas are watched, without their names', async () => {
    const { text } = await send(`${both.url}/metrics`);
    for (const pool of ['ingest', 'query', 'query_replica_1', 'query_replica_2']) {
      expect(text).toMatch(new RegExp(`^airudder_database_pool_connections\\{pool="${pool}"\\} \\d+$`, 'm'));
    }
    expect(text).not.toContain('127.0.0.1');
  });
});

describe('while the primary is away', () => {
  test('what a replica has can be read, page by page, and whole numbers are not shown without a record', async () => {
    const own = await postgres.createDatabase();
    const reader = await startOn(own, one);
    try {
      await complete(reader);
      await complete(reader);
      await postgres.caughtUp();
      await postgres.primary.stop();
      const { body: first } = await reader.get('/v1/cases?limit=1', READ_KEY);
      const { body: second } = await reader.get(`/v1/cases?limit=1&cursor=${first['next_cursor']}`, READ_KEY);
      expect([first['data'], second['data']]).toMatchObject([[{ revision: 1 }], [{ revision: 1 }]]);
      expect((await readFeed(reader, {}, 0, READ_KEY))['data']).toHaveLength(2);
      expect((await reader.get('/v1/cases')).body['code']).toBe('service_unavailable');
    } finally {
      await postgres.primary.start();
      await reader.stop();
    }
  });
});
