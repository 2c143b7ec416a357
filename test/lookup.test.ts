import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ALL_KEY,
  type Answer,
  type Json,
  newCase,
  READ_KEY,
  send,
  startService,
  type TestService,
} from './support/service.js';
import { withStoppedTimers } from './support/timers.js';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(async () => service.stop());

async function lookup(
  body: unknown,
  {
    key = ALL_KEY,
    headers = {},
    signal,
  }: { key?: string; headers?: Record<string, string>; signal?: AbortSignal } = {},
): Promise<Answer> {
  return send(`${service.url}/v1/cases/lookup`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...(signal && { signal }),
  });
}

const statuses = ({ body }: Answer): string[] => (body['data'] as Json[]).map(({ status }) => status as string);

describe('one verdict for each', () => {
  test('every item gets exactly one verdict, in the order asked, duplicates included', async () => {
    const [done, other] = [newCase(), newCase({ callee_number: '+62700001' })];
    await service.complete(done);
    await service.complete(other);
    const asked = [
      { case_id: other['case_id'] },
      { case_id: 'nobody' },
      { case_id: done['case_id'], workflow_id: done['workflow_id'], callee_number: done['callee_number'] },
      { case_id: other['case_id'] },
      { callee_number: '+62700001' },
    ];
    const answer = await lookup({ cases: asked });
    expect(answer.status).toBe(200);
    expect(answer.body['data'].map((verdict: Json) => verdict['asked'])).toEqual(asked);
    expect(statuses(answer)).toEqual(['completed', 'not_seen', 'completed', 'completed', 'completed']);
    const { body: list } = await service.get(`/v1/cases?case_id=${other['case_id']}`);
    for (const index of [0, 3, 4]) expect(answer.body['data'][index].cases).toEqual(list['data']);
  });

  test('a thousand items are asked at once, one more is refused', async () => {
    const bodies = Array.from({ length: 5 }, () => newCase());
    for (const body of bodies) await service.complete(body);
    const cases = Array.from({ length: 1000 }, (_, index) => ({
      case_id: bodies[index % 7]?.['case_id'] ?? `none-${index}`,
    }));
    const answer = await lookup({ cases });
    expect(statuses(answer)).toEqual(cases.map((_, index) => (index % 7 < 5 ? 'completed' : 'not_seen')));
    expect((await lookup({ cases: [...cases, { case_id: 'x' }] })).status).toBe(400);
  });

  test('every given field must match, and an empty case_id is a value like any other', async () => {
    const number = '+62700002';
    const [named, nameless] = [newCase({ callee_number: number }), newCase({ case_id: '', callee_number: number })];
    await service.complete(named);
    await service.complete(nameless);
    const { case_id, workflow_id } = named;
    const answer = await lookup({
      cases: [
        { case_id, workflow_id },
        { case_id, workflow_id: 'other' },
        { case_id, callee_number: '+62999' },
        { case_id, workflow_id, callee_number: '+62999' },
        { case_id: '', callee_number: number },
        { callee_number: number, workflow_id },
        { callee_number: number, workflow_id: 'other' },
      ],
    });
    expect(answer.body['data'].map(({ cases }: Json) => cases.length)).toEqual([1, 0, 0, 0, 1, 2, 0]);
  });

  test('of one item the newest hundred cases are shown, and that there are more', async () => {
    const number = '+62700003';
    for (let index = 0; index < 101; index += 1)
      await service.complete(newCase({ callee_number: number, case_id: `many-${index}` }));
    const { body } = await lookup({ cases: [{ callee_number: number }] });
    const { body: list } = await service.get(`/v1/cases?callee_number=${encodeURIComponent(number)}&limit=100`);
    expect(body['data'][0]).toMatchObject({ has_more: true, cases: list['data'] });
    expect((await lookup({ cases: [{ case_id: 'many-0' }] })).body['data'][0].has_more).toBe(false);
  });

  test('what only lies in quarantine is held, until a case is completed', async () => {
    const refused = newCase({ rows: 'none', callee_number: '+62700004' });
    expect((await service.post(refused)).status).toBe(400);
    const { case_id, workflow_id } = refused;
    const cases = [
      { case_id },
      { case_id, workflow_id },
      { callee_number: '+62700004' },
      { case_id, workflow_id: 'other' },
    ];
    expect(statuses(await lookup({ cases }))).toEqual(['held', 'held', 'held', 'not_seen']);
    await service.complete({ ...refused, rows: [] });
    expect(statuses(await lookup({ cases }))).toEqual(['completed', 'completed', 'completed', 'not_seen']);
  });

  test('a field that could not be read may be the one asked for, one that could must be', async () => {
    const { case_id: _, ...nameless } = newCase({ callee_number: '+62700006', rows: 'none' });
    expect((await service.post(nameless)).status).toBe(400);
    expect((await service.post(newCase({ callee_number: '+62700007', rows: 'none' }))).status).toBe(400);
    const cases = [
      { case_id: 'any', callee_number: '+62700006' },
      { case_id: 'any', callee_number: '+62700007' },
      { case_id: '', callee_number: '+62700007' },
      { callee_number: '+62700007' },
    ];
    expect(statuses(await lookup({ cases }))).toEqual(['held', 'not_seen', 'not_seen', 'held']);
  });

  test('a refused body that lacks its workflow is held for whatever workflow is asked', async () => {
    const { workflow_id: _, ...refused } = newCase();
    expect((await service.post(refused)).status).toBe(400);
    expect(statuses(await lookup({ cases: [{ case_id: refused['case_id'], workflow_id: 'any' }] }))).toEqual(['held']);
  });

  test('numbers are masked without reveal, in the question too', async () => {
    const body = newCase({ callee_number: '+62700005678' });
    await service.complete(body);
    const answer = await lookup({ cases: [{ callee_number: '+62700005678' }] }, { key: READ_KEY });
    expect(answer.text).not.toContain('70000');
    expect(answer.body['data'][0]).toMatchObject({ asked: { callee_number: '*********678' }, status: 'completed' });
  });

  test('strict turns anything not seen into a 404 that lists it', async () => {
    const body = newCase();
    await service.complete(body);
    const cases = [{ case_id: 'nobody' }, { case_id: body['case_id'] }, { case_id: 'no one' }];
    const answer = await lookup({ cases, strict: true });
    expect(answer.status).toBe(404);
    expect(answer.body).toMatchObject({
      code: 'not_seen',
      errors: [
        { path: 'cases[0]', message: 'was not seen' },
        { path: 'cases[2]', message: 'was not seen' },
      ],
    });
    expect((await lookup({ cases: cases.slice(1, 2), strict: true })).status).toBe(200);
  });

  test('it says when the newest notification arrived, and that ingestion is healthy', async () => {
    const body = newCase();
    await service.complete(newCase());
    await service.complete(body);
    const { body: answer } = await lookup({ cases: [{ case_id: body['case_id'] }] });
    const [found] = answer['data'][0].cases as Json[];
    expect(answer['ingestion']).toEqual({ last_notification_at: found?.['last_notified_at'], degraded: false });
  });
});

describe('an answer has some 8 MiB at most, however large its cases are', () => {
  const ids = Array.from({ length: 30 }, () => randomUUID());
  beforeAll(async () => {
    const rows = Array.from({ length: 4_000 }, (_, index) => ({
      nodetask_id: `${'n'.repeat(120)}${index}`,
      nodetask_name: '',
      node_type: 'call',
    }));
    await withStoppedTimers(async () => {
      for (const case_id of ids) await service.complete({ ...newCase({ case_id, workflow_id: 'large' }), rows });
    });
  });

  test('a lookup says of each whether it is completed, and shows as many as fit', async () => {
    const { body, text } = await lookup({ cases: [...ids, ...ids].map((case_id) => ({ case_id })) });
    expect(text.length).toBeLessThan(24 * 2 ** 20);
    const verdicts = body['data'] as Json[];
    expect(verdicts.map(({ status }) => status as string)).toEqual(verdicts.map(() => 'completed'));
    const shown = verdicts.filter(({ cases }) => cases.length === 1);
    expect(shown.length).toBeGreaterThan(1);
    expect(shown.length).toBeLessThan(verdicts.length);
    for (const { cases, has_more } of verdicts) expect(has_more).toBe(cases.length === 0);
  });

  test.each(['/v1/cases?order=asc&workflow_id=large', '/v1/completions?workflow_id=large'])(
    '%s is paged by what fits, and misses none',
    async (path) => {
      const told: string[] = [];
      let pages = 0;
      for (let cursor = ''; ;) {
        const { body, text } = await service.get(`${path}&limit=1000${cursor && `&cursor=${cursor}`}`);
        expect(text.length).toBeLessThan(24 * 2 ** 20);
        told.push(...(body['data'] as Json[]).map((each) => (each['case'] ?? each).case_id as string));
        pages += 1;
        cursor = body['next_cursor'] as string;
        if (!cursor || body['caught_up'] === true) break;
      }
      expect(pages).toBeGreaterThan(1);
      expect(told).toEqual(ids);
    },
  );
});

test('a case that is larger than an answer should be is shown alone, and the list goes on behind it', async () => {
  const rows = Array.from({ length: 12_000 }, (_, index) => ({
    nodetask_id: `${index}`,
    nodetask_name: '',
    node_type: 'call',
  }));
  for (const case_id of ['a', 'b', 'c']) await service.complete(newCase({ case_id, workflow_id: 'larger', rows }));
  // A commit of that many may take longer than a sender is kept waiting: then it comes out of the spool, and names them again.
  await expect.poll(async () => (await service.get('/health/ready')).body['spooled'], { timeout: 20_000 }).toBe(0);
  await service.database.query(`UPDATE node_tasks SET nodetask_name = repeat('😀', 400) WHERE workflow_id = 'larger'`);
  const told: string[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const { body } = await service.get(`/v1/cases?workflow_id=larger&order=asc${cursor && `&cursor=${cursor}`}`);
    expect(body['data']).toHaveLength(1);
    told.push(body['data'][0].case_id as string);
    cursor = body['next_cursor'] as string | null;
  }
  expect(told).toEqual(['a', 'b', 'c']);
});

describe('bad questions are told what is wrong where', () => {
  test.each<[string, unknown, string]>([
    ['no list', {}, 'cases'],
    ['an empty list', { cases: [] }, 'cases'],
    ['no ids', { cases: [{ case_id: 'a' }, {}] }, 'cases[1].case_id'],
    ['only empty ids', { cases: [{ case_id: '', callee_number: '' }] }, 'cases[0].case_id'],
    ['only a workflow', { cases: [{ workflow_id: 'w' }] }, 'cases[0].case_id'],
    ['a number for an id', { cases: [{ case_id: 7 }] }, 'cases[0].case_id'],
    ['text that cannot be stored', { cases: [{ case_id: 'a\0' }] }, 'cases[0].case_id'],
    ['an unknown field', { cases: [{ case_id: 'a', caller: 'b' }] }, 'cases[0].caller'],
    ['an unknown mode', { cases: [{ case_id: 'a' }], mode: 'most' }, 'mode'],
    ['an unknown parameter', { cases: [{ case_id: 'a' }], wait: 10 }, 'wait'],
    ['an inherited name', '{"cases":[{"case_id":"a"}],"constructor":1}', 'constructor'],
    ['texts as items', { cases: ['a'] }, 'cases'],
    [
      'a body of too many fields',
      JSON.stringify(Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`f${n}`, n]))),
      '',
    ],
    ['a list that never ends', `{"cases":[${'{},'.repeat(300_000)}{}]}`, 'cases'],
    ['what is nested too deep', `{"cases":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'cases[0][0]'],
    ['an object for an id', { cases: [{ case_id: { length: 1 } }] }, 'cases[0].case_id'],
    ['an inherited name in an item', '{"cases":[{"case_id":"a","toString":1}]}', 'cases[0].toString'],
    ['a prototype in an item', '{"cases":[{"case_id":"a","__proto__":1}]}', 'cases[0].__proto__'],
    ['null as an item', { cases: [null] }, 'cases'],
    ['a list as the body', [], ''],
    ['null as the body', 'null', ''],
    ['a text as the body', '"x"', ''],
  ])('%s', async (_, body, path) => {
    const answer = await lookup(body);
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
    expect(answer.body['errors'].map((error: Json) => error['path'])).toContain(path);
  });

  test('no JSON, another type, too much, a coding that is none', async () => {
    expect(await lookup('{"cases"')).toMatchObject({ status: 400, body: { code: 'not_json' } });
    expect(await lookup('cases', { headers: { 'content-type': 'text/plain' } })).toMatchObject({ status: 415 });
    expect(await lookup(`"${'x'.repeat(4 * 1024 * 1024)}"`)).toMatchObject({ status: 413 });
    expect(await lookup('{}', { headers: { 'content-encoding': 'gzip' } })).toMatchObject({
      status: 400,
      body: { code: 'not_json' },
    });
  });

  test('without a key nothing is read', async () => {
    expect((await lookup('{', { key: 'wrong' })).status).toBe(401);
  });
});

/** Waits until so many requests wait. */
async function isWaiting(requests: number): Promise<void> {
  await expect
    .poll(async () => (await service.get('/metrics')).text, { timeout: 5_000 })
    .toContain(`airudder_watching_requests ${requests}\n`);
}

/** A wait of 60 seconds that nothing wakes ends only after its test has failed. */
const LIMIT_MS = 30_000;

describe('waiting', () => {
  const wait = (seconds: number): { headers: Record<string, string> } => ({ headers: { prefer: `wait=${seconds}` } });

  test('it answers at once if all are completed already', async () => {
    const body = newCase();
    await service.complete(body);
    const answer = await lookup({ cases: [{ case_id: body['case_id'] }] }, wait(60));
    expect(statuses(answer)).toEqual(['completed']);
    expect(answer.headers.get('preference-applied')).toBe('wait=60');
  });

  test('it answers when the last one is completed, or with mode any the first one', { timeout: LIMIT_MS }, async () => {
    const [one, other] = [newCase(), newCase({ callee_number: '+62700010' })];
    const cases = [{ case_id: one['case_id'] }, { callee_number: '+62700010' }, { case_id: one['case_id'] }];
    const all = lookup({ cases }, wait(60));
    const any = lookup({ cases, mode: 'any' }, wait(60));
    await isWaiting(2);
    await service.complete(one);
    expect(statuses(await any)).toEqual(['completed', 'not_seen', 'completed']);
    await service.complete(other);
    expect(statuses(await all)).toEqual(['completed', 'completed', 'completed']);
  });

  test('when the time is up it answers with what is so then', async () => {
    const answer = await lookup({ cases: [{ case_id: 'nobody' }] }, wait(1));
    expect(answer.status).toBe(200);
    expect(statuses(answer)).toEqual(['not_seen']);
    expect(answer.headers.get('preference-applied')).toBe('wait=1');
  });

  test('a preference that cannot be understood is ignored', async () => {
    const others = [
      'respond-async',
      'await=10',
      'foo="a,wait=1"',
      'foo="\\",wait=1"',
      'foo; bar="x, wait=1 ,"',
      'foo="a,wait=1',
    ];
    for (const prefer of ['wait=soon', 'wait=-1', 'wait="1', ...others]) {
      const answer = await lookup({ cases: [{ case_id: 'nobody' }] }, { headers: { prefer } });
      expect(answer.headers.get('preference-applied'), prefer).toBeNull();
    }
  });

  test('a wait is found among other preferences, in quotes and with parameters', async () => {
    const body = newCase();
    await service.complete(body);
    for (const prefer of [
      'foo="a,b" , Wait = 1',
      'foo="\\"", wait=1',
      'wait="1"',
      'wait=1; foo="x,y"',
      'a=";", wait=1, wait=2',
    ]) {
      const answer = await lookup({ cases: [{ case_id: body.case_id }] }, { headers: { prefer } });
      expect(answer.headers.get('preference-applied'), prefer).toBe('wait=1');
    }
  });

  test('a case that a long transaction commits late is told too', { timeout: LIMIT_MS }, async () => {
    const body = newCase();
    await service.complete(newCase());
    const { case_id } = body;
    const other = new Client(service.database.url);
    await other.connect();
    try {
      await other.query('BEGIN');
      await other.query(`
        WITH made AS (
          INSERT INTO cases SELECT gen_random_uuid(), workflow_id, $1, callee_number, completed_at, last_notified_at, 1, 1,
            gen_random_uuid(), content_digest FROM cases LIMIT 1 RETURNING *)
        INSERT INTO notifications (id, kind, received_at, verdict, workflow_id, case_ref, content_digest, body)
        SELECT current_notification_id, 'k', completed_at, 'first', workflow_id, id, '', '' FROM made`, [case_id]); // prettier-ignore
      const waiting = lookup({ cases: [{ case_id }] }, wait(60));
      await isWaiting(1);
      await service.complete(newCase()); // a younger transaction that ends first
      await new Promise((resolve) => setTimeout(resolve, 400));
      await other.query('COMMIT');
      expect(statuses(await waiting)).toEqual(['completed']);
    } finally {
      await other.end();
    }
  });

  test('a client that hangs up is forgotten, and nobody holds a connection', async () => {
    const abort = new AbortController();
    const waits = Array.from({ length: 50 }, async () =>
      lookup({ cases: [{ case_id: 'nobody' }] }, { ...wait(60), signal: abort.signal }).catch(() => 'gone'),
    );
    await isWaiting(50);
    const busy = async (): Promise<number> =>
      (
        await service.database.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()
            AND application_name LIKE 'airudder%'`,
        )
      ).length;
    await expect.poll(busy).toBeLessThanOrEqual(1); // the one that looks for all of them
    expect(statuses(await lookup({ cases: [{ case_id: 'nobody' }] }))).toEqual(['not_seen']); // more wait than there are connections
    abort.abort();
    expect(await Promise.all(waits)).toEqual(waits.map(() => 'gone'));
    await isWaiting(0);
  });
});
