import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { makeApiKey } from '../src/config/api-key.js';
import { type Notification, parseNotification } from '../src/ingest/notification/notification.js';
import { Writer } from '../src/ingest/write/writer.js';
import { ALL_KEY, type Answer, type Json, notification, READ_KEY, send, startService } from './support/service.js';
import type { TestService } from './support/service.js';
import { withStoppedTimers } from './support/timers.js';

const BLIND_KEY = 'secret-of-who-operates-blindly';
const config = {
  apiKeys: [
    makeApiKey('night shift', ['read', 'reveal', 'operate'], ALL_KEY),
    makeApiKey('blind', ['operate'], BLIND_KEY),
    makeApiKey('reader', ['read', 'reveal'], READ_KEY),
  ],
};
const START = Date.parse('2026-01-31T00:00:00.000Z');

let service: TestService;
let other: TestService;
beforeAll(async () => {
  service = await startService({ config });
  other = await startService({ database: service.database, config });
});
afterAll(async () => {
  await other.stop();
  await service.stop();
});
beforeEach(async () => {
  for (const table of ['quarantined_notifications', 'quarantine_actions', 'notifications', 'cases', 'case_node_tasks'])
    await service.database.query(`TRUNCATE ${table}`);
});
afterEach(() => {
  vi.useRealTimers();
});

/** A body that is refused, at a time in minutes. @returns its id */
async function refuse(body: unknown, { at, asText = false }: { at?: number; asText?: boolean } = {}): Promise<string> {
  if (at !== undefined) vi.useFakeTimers({ toFake: ['Date'], now: START + at * 60_000 });
  const answer = await service.post(body, asText ? { 'content-type': 'text/plain' } : {});
  vi.useRealTimers();
  expect([400, 415]).toContain(answer.status);
  return answer.body['request_id'] as string;
}

/** Refused for its content type alone: today it would pass. */
const refuseValid = async (changes: Json, at?: number): Promise<string> =>
  refuse(notification(changes), { asText: true, ...(at !== undefined && { at }) });

const act = async (path: string, body?: unknown, key = ALL_KEY, { url } = service): Promise<Answer> =>
  send(`${url}/v1/quarantine${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
const list = async (query = ''): Promise<Json[]> => (await service.get(`/v1/quarantine${query}`)).body['data'];
const idsOf = (rows: readonly Json[]): string[] => rows.map(({ id }) => id);
const actions = async (): Promise<Json[]> => (await service.get('/v1/quarantine/actions')).body['data'];

describe('the list', () => {
  test('is filtered by reason, kind, ids and the time of the first receipt, from inclusive and to exclusive', async () => {
    const ids = [
      await refuse('{', { at: 0 }),
      await refuseValid({ case_id: 'a', workflow_id: 'w' }, 1),
      await refuse(notification({ case_id: 'b', rows: 1, callee_number: '+6277' }), { at: 2 }),
    ] as const;
    const found = async (query: string): Promise<string[]> => idsOf(await list(`?${query}`));
    expect(await found('')).toEqual(ids.toReversed());
    expect(await found('reason=not_json')).toEqual([ids[0]]);
    expect(await found('kind=workflow-list-completion&reason=invalid_fields')).toEqual([ids[2]]);
    expect(await found('received_from=2026-01-31T00:01:00Z')).toEqual([ids[2], ids[1]]);
    expect(await found('received_to=2026-01-31T00:01:00Z')).toEqual([ids[0]]);
    expect(await found('received_from=2026-01-31T00:01:00Z&received_to=2026-01-31T00:02:00Z')).toEqual([ids[1]]);
    expect(await found('workflow_id=w')).toEqual([ids[1]]);
    expect(await found('case_id=b')).toEqual([ids[2]]);
    expect(await found('callee_number=%2B6277')).toEqual([ids[2]]);
    expect(await found('case_id=b&reason=not_json')).toEqual([]);
  });

  test.each([
    ['reason=unknown', 'reason', /^must be one of not_json, /],
    ['kind=unknown', 'kind', 'must be one of workflow-list-completion'],
    ['received_from=yesterday', 'received_from', /^must be a time like/],
    ['recieved_to=2026-01-31T00:00:00Z', 'recieved_to', 'is not a known parameter'],
  ])('refuses %s and says what is wrong where', async (query, path, message) => {
    const { status, body } = await service.get(`/v1/quarantine?${query}`);
    expect(status).toBe(400);
    expect(body['errors']).toEqual([{ path, message: expect.stringMatching(message) }]);
  });

  test('is paged within its filters, and a cursor is good for no others', async () => {
    for (let n = 0; n < 5; n += 1) await refuse(`{ ${n}`, { at: 1 }); // all at one moment
    await refuseValid({});
    const seen: string[] = [];
    let next: string | null = '';
    while (next !== null) {
      const { body }: Answer = await service.get(`/v1/quarantine?reason=not_json&limit=2${next && `&cursor=${next}`}`);
      seen.push(...idsOf(body['data']));
      next = body['next_cursor'];
      if (next)
        expect((await service.get(`/v1/quarantine?limit=2&cursor=${next}`)).body['code']).toBe('invalid_cursor');
    }
    expect(new Set(seen).size).toBe(5);
    expect(seen).toHaveLength(5);
  });

  test('masks numbers and shows no body without the scope reveal', async () => {
    const id = await refuseValid({ callee_number: '+62123456789' });
    const get = async (path: string): Promise<Answer> => service.get(path, BLIND_KEY);
    expect((await get('/v1/quarantine')).body['data'][0]['callee_number']).toBe('*********789');
    const { body } = await get(`/v1/quarantine/${id}`);
    expect([body['callee_number'], body['body']]).toEqual(['*********789', undefined]);
  });
});

describe('a replay', () => {
  test('makes a refused body the notification that it would have been: with its id, its bytes and its time of receipt', async () => {
    const id = await refuseValid({ case_id: 'put right' }, 5);
    await refuseValid({ case_id: 'put right' }, 9);
    const answer = await act(`/${id}/replay`);
    expect([answer.status, answer.body]).toEqual([
      200,
      { id, outcome: 'replayed', verdict: 'first', reason: null, errors: [] },
    ]);
    const { body } = await service.get(`/v1/notifications/${id}`);
    expect(body).toMatchObject({ received_at: '2026-01-31T00:05:00.000Z', verdict: 'first' });
    expect(JSON.parse(body['body'])).toEqual(notification({ case_id: 'put right' }));
    const cases = (await service.get('/v1/cases?case_id=put%20right')).body['data'];
    expect(cases).toMatchObject([{ completed_at: '2026-01-31T00:05:00.000Z', notification_count: 1 }]);
    expect((await service.get(`/v1/quarantine/${id}`)).status).toBe(404);
    expect((await act(`/${id}/replay`)).status).toBe(404);
  });

  test('that comes after newer notifications of its case takes its place before them', async () => {
    const id = await refuseValid({ case_id: 'overtaken', workflow_name: 'as it was' }, 5);
    await service.post(notification({ case_id: 'overtaken', workflow_name: 'as it is' }));
    expect((await act(`/${id}/replay`)).body).toMatchObject({ outcome: 'replayed', verdict: 'late' });
    const [found] = (await service.get('/v1/cases?case_id=overtaken')).body['data'];
    expect(found).toMatchObject({
      completed_at: '2026-01-31T00:05:00.000Z',
      notification_count: 2,
      workflow_name: 'as it is',
    });
  });

  test('leaves what is still bad where it is, and says what is wrong with it today', async () => {
    const id = await refuse(notification({ case_id: 5 }), { asText: true });
    expect((await service.get(`/v1/quarantine/${id}`)).body['reason']).toBe('unsupported_media_type');
    const errors = [{ path: 'case_id', message: 'must be a string' }];
    expect((await act(`/${id}/replay`)).body).toEqual({
      id,
      outcome: 'refused',
      verdict: null,
      reason: 'invalid_fields',
      errors,
    });
    expect((await service.get(`/v1/quarantine/${id}`)).body).toMatchObject({ reason: 'invalid_fields', errors });
    expect(await actions()).toEqual([]);
  });

  test('keeps apart equal bytes that were refused for two reasons: each is found by the id that its sender was told', async () => {
    const bad = notification({ case_id: 5 });
    const ids = [await refuse(bad, { asText: true }), await refuse(bad)];
    const { body } = await act('/replay', {});
    expect(body).toMatchObject({ refused: 2, reasons: [{ reason: 'invalid_fields', bodies: 2 }] });
    expect(idsOf(await list()).toSorted()).toEqual(ids.toSorted());
  });

  test('of a case that another transaction is at is not done, and can be tried again', async () => {
    await service.post(notification({ case_id: 'held' }));
    const id = await refuseValid({ case_id: 'held', workflow_name: 'other content' });
    const holder = new Client(service.database.url);
    await holder.connect();
    await holder.query(`BEGIN`);
    await holder.query(`SELECT FROM cases WHERE case_id = 'held' FOR UPDATE`);
    expect((await act(`/${id}/replay`)).body).toMatchObject({ outcome: 'held', verdict: null, reason: null });
    expect((await service.get(`/v1/quarantine/${id}`)).status).toBe(200);
    await holder.query(`COMMIT`);
    await holder.end();
    expect((await act(`/${id}/replay`)).body).toMatchObject({ outcome: 'replayed' });
  });

  test('asked for many times at once, of two replicas, makes one notification, and one record', async () => {
    const id = await refuseValid({ case_id: 'wanted' });
    const asked = Array.from({ length: 12 }, async (_, n) =>
      n % 2 === 0
        ? act(`/${id}/replay`, undefined, ALL_KEY, other)
        : act('/replay', { filter: { case_id: 'wanted' } }).then(({ body }) => ({
            status: body['replayed'] ? 200 : 404,
          })),
    );
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(statuses.toSorted()).toEqual([200, ...Array<number>(11).fill(404)]);
    const [found] = (await service.get('/v1/cases?case_id=wanted')).body['data'];
    expect(found['notification_count']).toBe(1);
    expect(await actions()).toHaveLength(1);
  });

  test('that was killed after it wrote, and before it removed, is only finished by the next', async () => {
    const id = await refuseValid({ case_id: 'killed' }, 3);
    const receipt = { id, kind: 'workflow-list-completion', receivedAt: new Date(START + 3 * 60_000) } as const;
    const written = parseNotification(
      receipt,
      Buffer.from(JSON.stringify(notification({ case_id: 'killed' }))),
    ) as Notification;
    const fail = (): never => expect.fail('it can be written');
    await service.app
      .get(Writer)
      .write([written], { onCommitted: () => undefined, onCaseLocked: fail, onRejected: fail });

    expect((await act(`/${id}/replay`)).body).toMatchObject({ outcome: 'replayed', verdict: 'known' });
    expect((await service.get('/v1/cases?case_id=killed')).body['data']).toMatchObject([{ notification_count: 1 }]);
    expect(await list()).toEqual([]);
    expect(await actions()).toMatchObject([{ action: 'replayed', verdict: 'known', quarantined_id: id }]);
  });

  test('of a person who was erased since brings nobody back', async () => {
    const callee_number = '+62813999888777';
    const id = await refuseValid({ case_id: 'to be forgotten', callee_number }, 1);
    // As if it were a copy that the erasure did not find.
    const [copy] = await service.database.query<Json>(`SELECT * FROM quarantined_notifications`);
    const erasure = await send(`${service.url}/v1/erasures`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ALL_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ callee_number }),
    });
    expect(erasure.status).toBe(201);
    await service.database.query(`TRUNCATE quarantined_notifications`);
    await service.database.query(
      `INSERT INTO quarantined_notifications SELECT * FROM jsonb_populate_record(NULL::quarantined_notifications, $1)`,
      [{ ...copy, body: `\\x${copy?.['body'].toString('hex')}`, body_digest: '\\x00' }],
    );
    expect((await act('/replay', { dry_run: true })).body).toMatchObject({ replayed: 0, erased: 1 });
    expect((await act(`/${id}/replay`)).body).toMatchObject({ outcome: 'erased', verdict: null });
    expect((await service.get('/v1/cases?case_id=to%20be%20forgotten')).body['data']).toEqual([]);
    expect(await list()).toEqual([]);
    expect(await actions()).toMatchObject([{ action: 'replayed', verdict: 'erased' }]);
  });

  test('loses no delivery that is counted at the same moment', async () => {
    const body = JSON.stringify(notification({ case_id: 'busy' }));
    const sent = 80;
    await withStoppedTimers(async () => {
      const posts = Array.from({ length: sent }, async (_, n) => {
        await sleep(n * 2);
        return (await (n % 2 ? service : other).post(body, { 'content-type': 'text/plain' })).status;
      });
      for (let n = 0; n < 40; n += 1) await act('/replay', {});
      expect(new Set(await Promise.all(posts))).toEqual(new Set([415]));
    });
    const recorded = (await actions()).reduce((sum, { count }) => sum + count, 0);
    const left = (await list()).reduce((sum, { count }) => sum + count, 0);
    expect(recorded + left).toBe(sent);
  });

  test('by filter goes on where it stopped, oldest first', async () => {
    const ids = [];
    for (let n = 0; n < 5; n += 1) ids.push(await refuseValid({ case_id: `page ${n}` }, n));
    const bad = await refuse('{', { at: 1 });
    const first = await act('/replay', { limit: 3 });
    expect(idsOf(first.body['data']).toSorted()).toEqual([ids[0], ids[1], bad].toSorted());
    expect(first.body).toMatchObject({ dry_run: false, replayed: 2, refused: 1, held: 0 });
    const second = await act('/replay', { limit: 3, cursor: first.body['next_cursor'] });
    expect(idsOf(second.body['data'])).toEqual(ids.slice(2));
    expect(second.body).toMatchObject({ replayed: 3, refused: 0, reasons: [], next_cursor: null });
    expect(idsOf(await list())).toEqual([bad]);
  });
});

describe('a dry run', () => {
  test('changes nothing, and tells exactly what a replay then comes to, also of what PostgreSQL will not take', async () => {
    await service.database.query(`
      CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION USING ERRCODE = '54000'; END $$`);
    await service.database.query(`
      CREATE TRIGGER refuse BEFORE INSERT ON cases FOR EACH ROW
      WHEN (NEW.case_id LIKE 'unstorable%') EXECUTE FUNCTION refuse()`);
    await service.post(notification({ case_id: 'known' }));
    for (let n = 0; n < 4; n += 1) await refuseValid({ case_id: `valid ${n}` });
    await refuseValid({ case_id: 'known', workflow_name: 'another name' });
    await refuseValid({ case_id: 'unstorable 1' });
    await refuse(notification({ case_id: 'unstorable 2' }));
    await refuse(notification({ case_id: 7 }), { asText: true });
    await refuse('{');

    const before = await dump();
    const dry = (await act('/replay', { dry_run: true })).body;
    expect(await dump()).toEqual(before);
    expect(dry).toMatchObject({ dry_run: true, replayed: 5, refused: 4, held: 0, next_cursor: null });
    expect(dry['reasons']).toEqual([
      { reason: 'invalid_fields', bodies: 1 },
      { reason: 'not_json', bodies: 1 },
      { reason: 'unstorable', bodies: 2 },
    ]);
    const real = (await act('/replay', {})).body;
    const withoutVerdict = (each: Json): Json => ({ ...each, verdict: null });
    expect({ ...real, dry_run: true, data: real['data'].map(withoutVerdict) }).toEqual(dry);
    expect(await list()).toHaveLength(4);
    await service.database.query(`DROP TRIGGER refuse ON cases`);
    expect((await act('/replay', { dry_run: true, filter: { reason: 'unstorable' } })).body['replayed']).toBe(2);
  });

  test('of a discard changes nothing, and tells what would be discarded', async () => {
    const ids = [await refuse('{ 1', { at: 1 }), await refuse('{ 2', { at: 2 })];
    await refuseValid({});
    const before = await dump();
    const request = { filter: { reason: 'not_json' }, reason: 'Noise.' };
    const dry = (await act('/discard', { ...request, dry_run: true })).body;
    expect(await dump()).toEqual(before);
    expect(idsOf(dry['data'])).toEqual(ids);
    const real = (await act('/discard', request)).body;
    expect({ ...real, dry_run: true, data: real['data'].toSorted(byId) }).toEqual({
      ...dry,
      data: dry['data'].toSorted(byId),
    });
  });

  const byId = (a: Json, b: Json): number => String(a['id']).localeCompare(String(b['id']));

  async function dump(): Promise<unknown> {
    const tables = ['workflows', 'node_tasks', 'cases', 'case_node_tasks', 'notifications'];
    const quarantine = ['quarantined_notifications', 'quarantine_usage', 'quarantine_actions'];
    const rows = [...tables, ...quarantine].map(async (table) =>
      service.database.query(`SELECT * FROM ${table} AS t ORDER BY t::text`),
    );
    return Promise.all(rows);
  }
});

describe('a discard', () => {
  test('takes a reason, and removes for good', async () => {
    const id = await refuse('{ noise');
    for (const reason of ['', 'x'.repeat(1001), 5, undefined, 'a\0b']) {
      const { status, body } = await act(`/${id}/discard`, { reason });
      expect([status, body['errors']?.[0].path]).toEqual([400, 'reason']);
    }
    const { status, body } = await act(`/${id}/discard`, { reason: 'Noise of a load test.' });
    expect([status, body]).toEqual([200, { id, reason: 'not_json', count: 1 }]);
    expect((await service.get(`/v1/quarantine/${id}`)).status).toBe(404);
    expect((await act(`/${id}/discard`, { reason: 'Again.' })).status).toBe(404);
  });

  test('by filter takes at least one condition, and goes on where it stopped', async () => {
    const ids = [];
    for (let n = 0; n < 5; n += 1) ids.push(await refuse(`{ ${n}`, { at: n }));
    for (const filter of [undefined, {}, { reason: null }]) {
      const { status, body } = await act('/discard', { filter, reason: 'All of it.' });
      expect([status, body['errors']?.[0].path]).toEqual([400, 'filter']);
    }
    expect(await list()).toHaveLength(5);
    const filter = { received_from: '2026-01-31T00:01:00Z' };
    const first = await act('/discard', { filter, reason: 'Noise.', limit: 3 });
    expect(first.body).toMatchObject({ dry_run: false, discarded: 3, reasons: [{ reason: 'not_json', bodies: 3 }] });
    const second = await act('/discard', { filter, reason: 'Noise.', limit: 3, cursor: first.body['next_cursor'] });
    expect(second.body).toMatchObject({ discarded: 1, next_cursor: null });
    expect(idsOf(await list())).toEqual([ids[0]]);
  });
});

describe('the record', () => {
  test('says who did what to which refused body, when and why, and nothing of what was in it', async () => {
    const replayed = await refuseValid({ case_id: 'private-case', callee_number: '+6281999000222' });
    await refuseValid({ case_id: 'private-case', callee_number: '+6281999000222' });
    const discarded = await refuse('{ private-body');
    const from = Date.now();
    await act(`/${replayed}/replay`);
    await act(`/${discarded}/discard`, { reason: 'Noise.' }, BLIND_KEY);
    const [second, first] = await actions();
    const kind = 'workflow-list-completion';
    expect(first).toEqual({
      id: expect.any(String),
      acted_at: expect.any(String),
      key_name: 'night shift',
      action: 'replayed',
      quarantined_id: replayed,
      kind,
      reason: 'unsupported_media_type',
      count: 2,
      verdict: 'first',
      because: null,
    });
    expect(second).toMatchObject({
      key_name: 'blind',
      action: 'discarded',
      quarantined_id: discarded,
      reason: 'not_json',
      verdict: null,
      because: 'Noise.',
    });
    expect(Date.parse(second?.['acted_at'])).toBeGreaterThanOrEqual(from - 1_000);
    const rows = await service.database.query(`SELECT * FROM quarantine_actions`);
    expect(JSON.stringify(rows)).not.toMatch(/private|81999000222/);
  });

  test('is paged, newest first', async () => {
    const ids = [];
    for (let n = 0; n < 3; n += 1) {
      const id = await refuse(`{ ${n}`);
      await act(`/${id}/discard`, { reason: `Number ${n}.` });
      ids.unshift(id);
    }
    const first = await service.get('/v1/quarantine/actions?limit=2');
    const second = await service.get(`/v1/quarantine/actions?limit=2&cursor=${first.body['next_cursor']}`);
    const seen = [...first.body['data'], ...second.body['data']].map((each: Json) => each['quarantined_id']);
    expect(seen).toEqual(ids);
    expect(second.body['next_cursor']).toBeNull();
  });
});

test('everything about the quarantine takes the scope operate', async () => {
  const id = await refuse('{');
  for (const path of ['/replay', '/discard', `/${id}/replay`, `/${id}/discard`]) {
    expect((await act(path, { reason: 'No.', filter: { reason: 'not_json' } }, READ_KEY)).status).toBe(403);
  }
  for (const path of ['', '/actions', `/${id}`]) {
    expect((await service.get(`/v1/quarantine${path}`, READ_KEY)).status).toBe(403);
  }
  expect(await list()).toHaveLength(1);
});

test('what is asked wrongly of it is refused, and nothing is done', async () => {
  const id = await refuseValid({});
  for (const [path, body, where] of [
    ['/replay', { dryrun: true }, 'dryrun'],
    ['/replay', { filter: { reasons: 'not_json' } }, 'filter.reasons'],
    ['/replay', { filter: { reason: 'unknown' } }, 'filter.reason'],
    ['/replay', { dry_run: 'true' }, 'dry_run'],
    ['/replay', { limit: 0 }, 'limit'],
    ['/replay', { filter: [] }, 'filter'],
    [`/not-an-id/replay`, undefined, 'id'],
    [`/${id}/replay?dry_run=true`, undefined, 'dry_run'],
    [`/${id}/discard`, { because: 'No.' }, 'reason'],
  ] as const) {
    const answer = await act(path, body);
    expect([answer.status, answer.body['errors']?.map((each: Json) => each['path'])]).toEqual([
      400,
      expect.arrayContaining([where]),
    ]);
  }
  expect(idsOf(await list())).toEqual([id]);
});
