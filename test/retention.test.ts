import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RetentionJob } from '../src/operator/retention/retention.job.js';
import { beginCase } from './support/begin-case.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { countBlocked, hold } from './support/hold.js';
import { type Answer, notification, startService, type TestService } from './support/service.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const POLL = { timeout: 20_000, interval: 50 };
const KEEPS = {
  bodies: undefined,
  notifications: undefined,
  quarantine: undefined,
  cases: undefined,
  audit: undefined,
};

let database: TestDatabase;
let service: TestService;

beforeEach(async () => {
  database = await createDatabase();
});
afterEach(async () => {
  await service.stop();
  await database.drop();
});

async function start(retention: Partial<typeof KEEPS | Record<string, number>>): Promise<void> {
  service = await startService({ database, config: { retention: { ...KEEPS, ...retention } } });
}

/** Posts something as it was some days ago. Only the clock is played. */
async function post(daysAgo: number, body: unknown): Promise<Answer> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - daysAgo * DAY_MS });
  const answer = await service.post(body);
  vi.useRealTimers();
  return answer;
}

async function removeOld(): Promise<void> {
  await service.app.get(RetentionJob).run();
}

async function caseIds(path = '/v1/cases?order=asc'): Promise<string[]> {
  const { body } = await service.get(path);
  return body['data'].map((each: { case_id: string }) => each.case_id);
}

async function countRows(): Promise<Record<string, number>> {
  const [row] = await database.query<Record<string, number>>(`
    SELECT (SELECT count(*)::integer FROM cases) AS cases,
      (SELECT count(*)::integer FROM case_node_tasks) AS case_node_tasks,
      (SELECT count(*)::integer FROM notifications) AS notifications,
      (SELECT count(body)::integer FROM notifications) AS bodies`);
  return row as Record<string, number>;
}

test('without the settings everything is kept', async () => {
  await start({});
  await post(10_000, notification());
  await removeOld();
  expect(await countRows()).toEqual({ cases: 1, case_node_tasks: 3, notifications: 1, bodies: 1 });
});

test('bodies that are too old are removed, and the notification stays', async () => {
  await start({ bodies: 10 });
  const old = await post(11, notification({ case_id: 'old' }));
  const young = await post(9, notification({ case_id: 'young' }));
  await removeOld();
  const get = async (answer: Answer): Promise<Answer> =>
    service.get(`/v1/notifications/${answer.headers.get('x-request-id')}`);
  expect((await get(old)).body).toMatchObject({ verdict: 'first', body_bytes: null });
  expect((await get(old)).body).not.toHaveProperty('body');
  expect((await get(young)).body).toMatchObject({ body: JSON.stringify(notification({ case_id: 'young' })) });
  expect(await caseIds()).toEqual(['old', 'young']);
});

test('notifications that are too old are removed, and the case stays as it is', async () => {
  await start({ notifications: 10 });
  await post(12, notification({ case_id: 'old' }));
  await post(11, notification({ case_id: 'old', workflow_name: 'renamed' }));
  await post(9, notification({ case_id: 'young' }));
  const before = (await service.get('/v1/cases')).body['data'];
  await removeOld();
  expect(await countRows()).toEqual({ cases: 2, case_node_tasks: 6, notifications: 1, bodies: 1 });
  expect((await service.get('/v1/cases')).body['data']).toEqual(before);
  const { status, body } = await service.get(`/v1/cases/${before[1].id}/notifications`);
  expect([status, body]).toEqual([200, { data: [], next_cursor: null }]);
  expect((await service.get('/v1/workflows')).body['data']).toHaveLength(1);

  await post(0, notification({ case_id: 'old', workflow_name: 'renamed' }));
  const [after] = (await service.get('/v1/cases?case_id=old')).body['data'];
  expect(after).toMatchObject({ notification_count: 3, completed_at: before[1].completed_at });
});

test('cases without a notification for too long are removed with all that belongs to them', async () => {
  await start({ cases: 10 });
  await post(11, notification({ case_id: 'old' }));
  await post(11, notification({ case_id: 'notified again' }));
  await post(9, notification({ case_id: 'notified again' }));
  await removeOld();
  expect(await caseIds()).toEqual(['notified again']);
  expect(await countRows()).toEqual({ cases: 1, case_node_tasks: 3, notifications: 2, bodies: 2 });
  await post(0, notification({ case_id: 'old' }));
  expect((await service.get('/v1/cases?case_id=old')).body['data']).toMatchObject([{ notification_count: 1 }]);
});

describe('the limit of', () => {
  const at = async <T>(time: number, work: () => Promise<T>): Promise<T> => {
    vi.useFakeTimers({ toFake: ['Date'], now: time });
    return work().finally(() => vi.useRealTimers());
  };
  test.each([
    ['bodies', 'notifications WHERE body IS NOT NULL'],
    ['notifications', 'notifications'],
    ['quarantine', 'quarantined_notifications'],
    ['cases', 'cases'],
    ['audit', 'reveals'],
  ])('RETAIN_%s_DAYS is exact: a row stays until that age, and goes after it', async (rows, table) => {
    await start({ [rows]: 10 });
    const begun = Date.now() - 20 * DAY_MS;
    await at(begun, async () => {
      await service.post(notification());
      await service.post('{');
      await service.get('/v1/cases'); // with whole numbers: this is recorded
    });
    const countAfter = async (age: number): Promise<number> => {
      await at(begun + age, removeOld);
      return (await database.query(`SELECT FROM ${table}`)).length;
    };
    expect(await countAfter(10 * DAY_MS)).toBe(1);
    await expect.poll(async () => countAfter(10 * DAY_MS + 1), POLL).toBe(0);
  });
});

test('a case that is notified again between the scan and the lock of its removal is kept', async () => {
  await start({ cases: 10 });
  for (const case_id of ['old', 'notified again']) await post(11, notification({ case_id }));
  // The scan reads the table, and the lock of a row waits.
  const release = await hold(
    database,
    'LOCK TABLE cases IN EXCLUSIVE MODE',
    `UPDATE cases SET last_notified_at = now() WHERE case_id = 'notified again'`,
  );
  const removing = removeOld();
  await expect.poll(async () => countBlocked(database), POLL).toBe(1);
  await release();
  await removing;
  expect(await caseIds()).toEqual(['notified again']);
  expect(await countRows()).toEqual({ cases: 1, case_node_tasks: 3, notifications: 1, bodies: 1 });
});

test('a refused body that comes again while its removal waits for a lock is kept', async () => {
  await start({ quarantine: 10 });
  const first = await post(11, '{ came again');
  const release = await hold(database, 'SELECT FROM quarantine_usage FOR UPDATE');
  const posted = service.post('{ came again'); // the first to get the lock
  await expect.poll(async () => countBlocked(database), POLL).toBeGreaterThan(0);
  const removing = removeOld();
  await expect.poll(async () => countBlocked(database), POLL).toBe(3); // with the drainer, as the sender does not wait so long
  await release();
  await removing;
  expect((await posted).status).toBe(400);
  expect((await service.get('/v1/quarantine')).body['data']).toMatchObject([{ id: first.body['request_id'] }]);
});

test('a workflow of which only cases are left is still listed', async () => {
  await start({ notifications: 1, cases: 100 });
  await post(5, notification({ workflow_id: 'older' }));
  await post(3, notification({ workflow_id: 'newer' }));
  await removeOld();
  const { body } = await service.get('/v1/workflows');
  expect(body['data'].map((each: { workflow_id: string }) => each.workflow_id)).toEqual(['newer', 'older']);
  expect((await service.get('/v1/workflows/older')).body).toMatchObject({ notification_count: 0, case_count: 1 });
});

test('records of what was shown that are too old are removed, and no others', async () => {
  await start({ audit: 10 });
  await service.post(notification());
  for (const daysAgo of [12, 11, 9, 0]) {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - daysAgo * DAY_MS });
    await service.get('/v1/cases');
    vi.useRealTimers();
  }
  const before = (await service.get('/v1/audit')).body['data'];
  expect(before).toHaveLength(4);
  await removeOld();
  expect((await service.get('/v1/audit')).body['data']).toEqual(before.slice(0, 2));
});

test('refused bodies that did not come again for too long are removed, and the quarantine has room again', async () => {
  await start({ quarantine: 10 });
  await post(12, '{ old');
  await post(12, '{ came again');
  await post(9, '{ came again');
  await post(9, '{ young');
  await removeOld();
  const { body } = await service.get('/v1/quarantine');
  expect(body['data'].map(({ count }: { count: number }) => count)).toEqual([1, 2]);
  expect(await database.query(`SELECT rows::integer, bytes::integer FROM quarantine_usage`)).toEqual([
    { rows: 2, bytes: '{ came again'.length + '{ young'.length },
  ]);
});

describe('the change feed', () => {
  async function follow(
    query: string,
  ): Promise<{ ids: string[]; cursor: string; status: number; body: Answer['body'] }> {
    const { status, body } = await service.get(`/v1/completions?${query}`);
    const ids = (body['data'] ?? []).map((each: { case: { case_id: string } }) => each.case.case_id);
    return { ids, cursor: body['next_cursor'], status, body };
  }

  test.each(['notifications', 'cases'])(
    'a cursor before what was removed is answered 410 with how to start again (%s)',
    async (rows) => {
      await start({ [rows]: 10 });
      const { cursor: empty } = await follow('from=start');
      await post(12, notification({ case_id: 'a' }));
      const { cursor: first } = await follow(`cursor=${empty}`);
      await post(11, notification({ case_id: 'b' }));
      const { cursor: second } = await follow(`cursor=${first}`);
      await post(9, notification({ case_id: 'c' }));
      await removeOld();
      for (const cursor of [empty, first]) {
        const { status, body } = await follow(`cursor=${cursor}`);
        expect([status, body['code']]).toEqual([410, 'cursor_expired']);
        expect(body['detail']).toMatch('from=now');
      }
      expect((await follow(`cursor=${second}`)).ids).toEqual(['c']);
      expect((await follow('from=start')).ids).toEqual(['c']);
    },
  );

  test('where all events were removed, its start and its end are where new ones come', async () => {
    await start({ notifications: 10 });
    await post(11, notification({ case_id: 'old' }));
    await removeOld();
    const [fromStart, fromNow] = [await follow('from=start'), await follow('from=now')];
    await post(0, notification({ case_id: 'new' }));
    for (const { cursor } of [fromStart, fromNow]) expect((await follow(`cursor=${cursor}`)).ids).toEqual(['new']);
  });

  test('from its start it is read while that moves on, and nobody who gave no cursor is told that it has expired', async () => {
    await start({ notifications: 10 });
    await database.query(`
      INSERT INTO notifications (id, kind, received_at, verdict, workflow_id, case_ref, content_digest, body, position)
      SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
        'workflow-list-completion', at, 'first', 'w', gen_random_uuid(), '', '', 1
      FROM generate_series(1, 20000) n, LATERAL (SELECT now() - interval '20 days' + make_interval(secs => n) AS at) times`);
    const removing = removeOld();
    let isRemoving = true;
    const removed = removing.finally(() => (isRemoving = false));
    const statuses = new Set<number>();
    for (const isOn = (): boolean => isRemoving; isOn();) statuses.add((await follow('from=start&limit=1')).status);
    await removed;
    expect([...statuses]).toEqual([200]);
  });

  test.each(['notifications', 'cases'])(
    'an old event that was written after younger ones is kept until those are old too',
    async (rows) => {
      await start({ [rows]: 10 });
      await post(9, notification({ case_id: 'young' }));
      await post(12, notification({ case_id: 'from a spool' }));
      const { cursor } = await follow('from=start&limit=1');
      await removeOld();
      expect((await follow(`cursor=${cursor}`)).ids).toEqual(['from a spool']);
    },
  );

  test('its start waits for a transaction that is open, and then tells the young event of it', async () => {
    await start({ notifications: 10 });
    const { cursor } = await follow('from=start');
    const open = await beginCase(database, 'young');
    await post(12, notification({ case_id: 'from a spool' }));
    await removeOld();
    await open.commit();
    for (const query of ['from=start', `cursor=${cursor}`])
      expect(await follow(query)).toMatchObject({ status: 200, ids: ['young', 'from a spool'] });
  });

  test('a stream ends where it would skip what was removed', async () => {
    await start({ notifications: 10 });
    const { cursor } = await follow('from=start');
    await post(11, notification({ case_id: 'old' }));
    await removeOld();
    const { status } = await service.get(`/v1/completions/stream?cursor=${cursor}`);
    expect(status).toBe(410);
  });
});

test('more rows than one step looks at are removed, and none that is young', async () => {
  await start({ notifications: 10, cases: 20 });
  await database.query(`
    INSERT INTO notifications (id, kind, received_at, verdict, workflow_id, case_ref, content_digest, body)
    SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
      'workflow-list-completion', at, 'repeat', 'w', gen_random_uuid(), '', ''
    FROM generate_series(1, 2600) n, LATERAL (SELECT now() - CASE WHEN n <= 2500 THEN '11 days' ELSE '9 days' END::interval AS at) times`);
  await removeOld();
  expect((await countRows())['notifications']).toBe(100);
});

test('while one replica removes, another leaves it alone', async () => {
  await start({ cases: 10 });
  await post(11, notification());
  const client = new Client(database.url);
  await client.connect();
  await client.query(`SELECT pg_advisory_lock(6158420177)`);
  await removeOld();
  expect(await caseIds()).toHaveLength(1);
  await client.end();
  await expect.poll(async () => (await removeOld(), caseIds()), POLL).toHaveLength(0);
});

test('what is old in a spool that is drained late goes with the next day', async () => {
  await start({ notifications: 10 });
  await post(11, notification({ case_id: 'a' }));
  await removeOld();
  await post(12, notification({ case_id: 'late' }));
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 1.1 * DAY_MS });
  await removeOld();
  vi.useRealTimers();
  expect((await countRows())['notifications']).toBe(0);
});

test('metrics tell the oldest row of each kind, and how many were removed', async () => {
  await start({ bodies: 5, notifications: 10, cases: 20 });
  for (const days of [21, 11, 7, 3]) await post(days, notification({ case_id: `${days} days` }));
  await removeOld();
  const { text } = await service.get('/metrics');
  const daysOf = (rows: string): number => {
    const seconds = new RegExp(`airudder_oldest_row_timestamp_seconds{rows="${rows}"} (\\S+)`).exec(text)?.[1];
    return Math.round((Date.now() - Number(seconds) * 1000) / DAY_MS);
  };
  expect(['bodies', 'notifications', 'cases'].map(daysOf)).toEqual([3, 7, 11]);
  expect(text).toMatch(/^airudder_retention_removed_total{rows="notifications"} 2$/m);
  expect(text).toMatch(/^airudder_retention_removed_total{rows="cases"} 1$/m);
  expect(text).toMatch(/^airudder_oldest_row_timestamp_seconds{rows="quarantine"} 0$/m);
});
