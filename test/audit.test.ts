import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeApiKey } from '../src/config/api-key.js';
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

const BLIND_KEY = 'secret-of-one-who-sees-nothing-whole';
const POLL = { timeout: 15_000, interval: 20 };
const apiKeys = [
  makeApiKey('all', ['read', 'reveal', 'operate'], ALL_KEY),
  makeApiKey('blind', ['read', 'operate'], BLIND_KEY),
  makeApiKey('reader', ['read'], READ_KEY),
];

let service: TestService;
beforeAll(async () => {
  service = await startService({ config: { apiKeys } });
});
afterAll(async () => service.stop());

interface Request {
  readonly path: string;
  readonly body?: unknown;
}

const ask = async ({ path, body }: Request, key: string, at = service): Promise<Answer> =>
  send(`${at.url}${path}`, {
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
  });

/** Every record there is, or all that match, newest first. */
async function recorded(parameters: Record<string, string> = {}, at = service): Promise<Json[]> {
  const all: Json[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const query = new URLSearchParams({ ...parameters, limit: '1000', ...(cursor && { cursor }) });
    const answer = await ask({ path: `/v1/audit?${query.toString()}` }, BLIND_KEY, at);
    expect(answer.status).toBe(200);
    all.push(...(answer.body['data'] as Json[]));
    cursor = answer.body['next_cursor'] as string | null;
  }
  return all;
}

async function recordsOf(requestId: string | null, at = service): Promise<Json[]> {
  return (await recorded({}, at)).filter((record) => record['request_id'] === requestId);
}

const sum = (records: readonly Json[], name: 'numbers' | 'bodies'): number =>
  records.reduce((total, record) => total + (record[name] as number), 0);

describe('of every operation that can show a number or a body', () => {
  const workflow_id = randomUUID();
  const about = `workflow_id=${workflow_id}`;
  /** With what it shows. Of a stream of events only what comes first is read. */
  const questions: Record<string, (ids: Record<'case' | 'delivery' | 'refused', string>) => [Request, Shown]> = {
    listCases: () => [{ path: `/v1/cases?${about}` }, { numbers: 3, bodies: 0 }],
    getCase: (ids) => [{ path: `/v1/cases/${ids.case}` }, { numbers: 1, bodies: 0 }],
    exportCases: () => [{ path: `/v1/cases/export?${about}` }, { numbers: 3, bodies: 0 }],
    listCaseNotifications: (ids) => [{ path: `/v1/cases/${ids.case}/notifications` }, { numbers: 2, bodies: 0 }],
    lookupCases: () => [
      {
        path: '/v1/cases/lookup',
        body: { cases: ['one', 'two', 'nobody'].map((case_id) => ({ case_id, workflow_id })) },
      },
      { numbers: 2, bodies: 0 },
    ],
    listCompletions: () => [{ path: `/v1/completions?${about}` }, { numbers: 3, bodies: 0 }],
    streamCompletions: () => [{ path: `/v1/completions/stream?${about}` }, { numbers: 3, bodies: 0 }],
    getNotification: (ids) => [{ path: `/v1/notifications/${ids.delivery}` }, { numbers: 1, bodies: 1 }],
    listQuarantine: () => [{ path: '/v1/quarantine' }, { numbers: 1, bodies: 0 }], // another has none that could be read
    getQuarantined: (ids) => [{ path: `/v1/quarantine/${ids.refused}` }, { numbers: 1, bodies: 1 }],
  };
  interface Shown {
    readonly numbers: number;
    readonly bodies: number;
  }

  let document: Json;
  let ids: Record<'case' | 'delivery' | 'refused', string>;
  beforeAll(async () => {
    document = JSON.parse(await readFile('openapi.json', 'utf8')) as Json;
    const delivered = await service.post(notification({ workflow_id, case_id: 'one' }));
    for (const case_id of ['one', 'two', 'three']) await service.post(notification({ workflow_id, case_id }));
    const refused = await service.post(notification({ workflow_id, rows: [{}] }));
    await service.post('no JSON');
    const { body } = await ask({ path: `/v1/cases?${about}&case_id=one` }, BLIND_KEY);
    ids = {
      case: body['data'][0].id,
      delivery: delivered.headers.get('x-request-id') ?? '',
      refused: refused.body['request_id'],
    };
  });

  test('there is a question here: a new one has to be added', () => {
    const revealing = operationsOf(document).filter(([operation]) => mayReveal(document, operation));
    expect(Object.keys(questions).toSorted()).toEqual(revealing.map(([{ operationId }]) => operationId).toSorted());
  });

  test.each(Object.entries(questions))(
    '%s leaves one record for a key that sees all, and none for another',
    async (id, question) => {
      const [request, shown] = question(ids);
      const [, endpoint] = operationsOf(document).find(([{ operationId }]) => operationId === id) ?? [];
      const askedAt = Date.now();
      const whole = await read(request, ALL_KEY);
      const answeredAt = Date.now();
      const records = await recordsOf(whole.id);
      expect(records).toEqual([
        { id: expect.any(String), at: expect.any(String), key: 'all', endpoint, request_id: whole.id, ...shown },
      ]);
      expect(Date.parse(records[0]?.['at'] as string)).toBeGreaterThanOrEqual(askedAt);
      expect(Date.parse(records[0]?.['at'] as string)).toBeLessThanOrEqual(answeredAt);
      expect(whole.text.split(`"callee_number":"${notification().callee_number}"`).length - 1).toBe(shown.numbers);
      expect(whole.text.includes('"body":')).toBe(shown.bodies > 0);

      const masked = await read(request, BLIND_KEY);
      expect(masked.text).not.toContain(notification().callee_number);
      expect(masked.text).toContain('callee_number');
      expect(await recordsOf(masked.id)).toEqual([]);
    },
  );

  test('as CSV too', async () => {
    const { headers } = await ask({ path: `/v1/cases/export?${about}&format=csv` }, ALL_KEY);
    expect(await recordsOf(headers.get('x-request-id'))).toMatchObject([{ numbers: 3, bodies: 0 }]);
  });

  /** A stream of events is read until it has told all. */
  async function read(request: Request, key: string): Promise<{ id: string | null; text: string }> {
    if (!request.path.includes('/stream')) {
      const answer = await ask(request, key);
      expect(answer.status).toBe(200);
      return { id: answer.headers.get('x-request-id'), text: answer.text };
    }
    const response = await fetch(`${service.url}${request.path}`, { headers: { authorization: `Bearer ${key}` } });
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      if (text.split('\ndata: ').length > 3) break;
    }
    return { id: response.headers.get('x-request-id'), text };
  }
});

/** Operations under /v1, each with its endpoint. */
function operationsOf(document: Json): [Json, string][] {
  return Object.entries(document['paths'] as Json)
    .filter(([path]) => path.startsWith('/v1/'))
    .flatMap(([path, methods]) =>
      Object.entries(methods as Json).map(([method, operation]): [Json, string] => [
        operation as Json,
        `${method.toUpperCase()} ${path}`,
      ]),
    );
}

/** Of a file or a stream the document does not tell what is in it. */
function mayReveal(document: Json, { responses }: Json): boolean {
  return Object.entries((responses['200'] ?? responses['201'] ?? responses['202'])?.content as Json).some(
    ([type, { schema }]) => type !== 'application/json' || hasField(document, schema, /^(callee_number|body)$/),
  );
}

function hasField(document: Json, schema: unknown, name: RegExp): boolean {
  if (typeof schema !== 'object' || schema === null) return false;
  return Object.entries(schema).some(([key, value]) => {
    if (key === '$ref')
      return hasField(document, document['components'].schemas[String(value).split('/').at(-1) ?? ''], name);
    if (key === 'properties' && Object.keys(value as object).some((field) => name.test(field))) return true;
    return hasField(document, value, name);
  });
}

describe('the audit', () => {
  test('pages through its records newest first, of one key and of any time', async () => {
    const case_id = randomUUID();
    await service.post(notification({ case_id }));
    const path = `/v1/cases?case_id=${case_id}`;
    const asked: (string | null)[] = [];
    for (let round = 0; round < 5; round += 1) {
      asked.unshift((await ask({ path }, ALL_KEY)).headers.get('x-request-id'));
      await sleep(2);
    }
    const all = (await recorded()).slice(0, 5);
    expect(all.map((record) => record['request_id'])).toEqual(asked);

    const paged: Json[] = [];
    let cursor = '';
    while (paged.length < 5) {
      const page = await ask({ path: `/v1/audit?key=all&limit=2${cursor}` }, BLIND_KEY);
      paged.push(...(page.body['data'] as Json[]));
      cursor = `&cursor=${page.body['next_cursor']}`;
    }
    expect(paged.slice(0, 5)).toEqual(all);
    const [newest, , middle, , oldest] = all.map((record) => record['at'] as string);
    expect(await recorded({ from: oldest ?? '', to: middle ?? '' })).toEqual(all.slice(3));
    expect(await recorded({ from: oldest ?? '', to: middle ?? '', key: 'all' })).toEqual(all.slice(3));
    expect((await recorded({ from: newest ?? '' }))[0]).toEqual(all[0]);
    expect(await recorded({ key: 'blind' })).toEqual([]);
    expect(await recorded({ to: '1969-12-31T00:00:00Z' })).toEqual([]);
    expect((await recorded({ from: '1969-12-31T00:00:00Z' })).slice(0, 5)).toEqual(all);
  });

  test('says what is wrong with a question, and is for operators', async () => {
    const { status, body } = await ask({ path: '/v1/audit?from=yesterday&keys=all' }, BLIND_KEY);
    expect([status, body['errors'].map((error: Json) => error['path'])]).toEqual([400, ['keys', 'from']]);
    expect((await ask({ path: '/v1/audit' }, READ_KEY)).body['code']).toBe('insufficient_scope');
    const other = await ask({ path: '/v1/audit?limit=1' }, BLIND_KEY);
    const { next_cursor } = other.body;
    expect((await ask({ path: `/v1/audit?key=all&cursor=${next_cursor}` }, BLIND_KEY)).body['code']).toBe(
      'invalid_cursor',
    );
  });

  test('has no record of an answer that shows no one', async () => {
    const before = await recorded();
    for (const path of [
      '/v1/cases?case_id=nobody',
      `/v1/cases/${randomUUID()}`,
      '/v1/cases?limit=none',
      '/v1/workflows',
      '/v1/cases/export?case_id=nobody',
    ])
      await ask({ path }, ALL_KEY);
    const lookup = { path: '/v1/cases/lookup', body: { cases: [{ callee_number: '+999' }], strict: true } };
    expect((await ask(lookup, ALL_KEY)).status).toBe(404);
    expect((await ask({ ...lookup, body: { cases: [{ callee_number: '+999' }] } }, ALL_KEY)).text).toContain('+999');
    expect(await recorded()).toEqual(before);
  });

  test('counts a lookup that waits once, however often it looked', async () => {
    const [here, awaited] = [randomUUID(), randomUUID()];
    await service.post(notification({ case_id: here }));
    const asking = send(`${service.url}/v1/cases/lookup`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ALL_KEY}`, 'content-type': 'application/json', prefer: 'wait=60' },
      body: JSON.stringify({ cases: [{ case_id: here }, { case_id: awaited }] }),
    });
    await sleep(500);
    await service.post(notification({ case_id: awaited }));
    expect(await recordsOf((await asking).headers.get('x-request-id'))).toMatchObject([{ numbers: 2 }]);
  });

  test('counts an answer that came without its body no less', async () => {
    const case_id = randomUUID();
    await service.post(notification({ case_id }));
    const url = `${service.url}/v1/cases?case_id=${case_id}`;
    const headers = { authorization: `Bearer ${ALL_KEY}` };
    const { headers: had } = await send(url, { headers });
    const unchanged = await send(url, { headers: { ...headers, 'if-none-match': had.get('etag') ?? '' } });
    expect([unchanged.status, unchanged.text]).toEqual([304, '']);
    expect(await recordsOf(unchanged.headers.get('x-request-id'))).toMatchObject([{ numbers: 1 }]);
  });

  test('has a record for each of many answers at once, whoever they are for', async () => {
    const workflow_id = randomUUID();
    for (const case_id of ['a', 'b', 'c']) await service.post(notification({ workflow_id, case_id }));
    const request = { path: `/v1/cases?workflow_id=${workflow_id}` };
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => ask(request, index % 4 === 0 ? BLIND_KEY : ALL_KEY)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const asked = new Set(answers.map(({ headers }) => headers.get('x-request-id')));
    const records = (await recorded()).filter((record) => asked.has(record['request_id'] as string));
    expect(records).toHaveLength(150);
    expect(sum(records, 'numbers')).toBe(450);
  });
});

describe('a transfer that breaks off', () => {
  const workflow_id = randomUUID();
  const CASES = 20_000;
  let own: TestService;
  beforeAll(async () => {
    own = await startService({ config: { apiKeys } });
    await own.post(notification({ workflow_id }));
    await own.database.query(`
      INSERT INTO cases
      SELECT gen_random_uuid(), workflow_id, 'case ' || n, '+62' || n, completed_at - make_interval(secs => n), last_notified_at,
        1, 1, current_notification_id, content_digest
      FROM cases, generate_series(2, ${CASES}) n`);
  });
  afterAll(async () => own.stop());

  const begin = async (path: string, whole: boolean): Promise<Response> =>
    fetch(`${own.url}${path}`, { headers: { authorization: `Bearer ${whole ? ALL_KEY : BLIND_KEY}` } });

  test('an export whose reader leaves has all on record that was sent, and not what it would have read later', async () => {
    const response = await begin('/v1/cases/export', true);
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString();
      if (text.length > 400_000) break;
    }
    const [record, ...others] = await recordsOf(response.headers.get('x-request-id'), own);
    expect(others).toEqual([]);
    expect(record?.['numbers']).toBeGreaterThanOrEqual(text.split('"callee_number":').length - 1);
    expect(record?.['numbers']).toBeLessThan(CASES);
  });

  test('an export to its end has each case on record once', async () => {
    const response = await begin('/v1/cases/export?format=csv', true);
    await response.text();
    const id = response.headers.get('x-request-id');
    expect(sum(await recordsOf(id, own), 'numbers')).toBe(CASES);
  });

  test('an export breaks off where its record cannot be kept any more, and one that shows no one whole goes on', async () => {
    const [whole, masked] = [await begin('/v1/cases/export', true), await begin('/v1/cases/export', false)];
    await refusingRecords(own, async () => {
      await expect(whole.text()).rejects.toThrow('terminated');
      expect((await masked.text()).trim().split('\n')).toHaveLength(CASES);
    });
  });

  test('a stream has on record what it sent, and sends nothing without', async () => {
    const now = await ask({ path: '/v1/completions?from=now' }, BLIND_KEY, own);
    const path = `/v1/completions/stream?cursor=${now.body['next_cursor']}`;
    const response = await begin(path, true);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const next = async (until: string): Promise<void> => {
      for (let text = ''; !text.includes(until);) {
        const { value, done } = await reader.read();
        if (done) throw new Error('the stream has ended');
        text += Buffer.from(value).toString();
      }
    };
    const id = response.headers.get('x-request-id');
    for (const shown of [1, 2]) {
      const case_id = randomUUID();
      await own.post(notification({ case_id }));
      await next(case_id);
      expect(sum(await recordsOf(id, own), 'numbers')).toBe(shown);
    }
    await refusingRecords(own, async () => {
      const case_id = randomUUID();
      await own.post(notification({ case_id }));
      await expect(next(case_id)).rejects.toThrow(/the stream has ended|terminated/);
    });
    expect(sum(await recordsOf(id, own), 'numbers')).toBe(2);
  });
});

/** PostgreSQL takes no records meanwhile, and else everything. */
async function refusingRecords({ database }: TestService, work: () => Promise<void>): Promise<void> {
  await database.query('ALTER TABLE reveals RENAME TO gone');
  try {
    await work();
  } finally {
    await database.query('ALTER TABLE gone RENAME TO reveals');
  }
}

describe('while PostgreSQL takes no records', () => {
  const path = '/v1/cases';
  beforeAll(async () => {
    await service.post(notification());
  });
  /** With a key that sees all, then with another. */
  const answers = async (at = service): Promise<unknown[]> => {
    const [whole, file] = [await ask({ path }, ALL_KEY, at), await ask({ path: '/v1/cases/export' }, ALL_KEY, at)];
    for (const { text } of [whole, file]) expect(text).not.toContain(notification().callee_number);
    expect(file.headers.get('content-disposition')).toBeNull();
    const nobody = await ask({ path: `${path}?case_id=nobody` }, ALL_KEY, at);
    const masked = [await ask({ path }, BLIND_KEY, at), await ask({ path: '/v1/cases/export' }, BLIND_KEY, at)];
    return [whole, file, nobody, ...masked].map(({ status, body }) => body['code'] ?? status);
  };
  const UNAVAILABLE = 'service_unavailable';
  const REFUSED = [UNAVAILABLE, UNAVAILABLE, 200, 200, 200];

  test('for it takes no writes at all, whole numbers are 503, and masked ones are shown', async () => {
    const readOnly = await startService({ config: { apiKeys } });
    try {
      await readOnly.post(notification());
      const name = new URL(readOnly.database.url).pathname.slice(1);
      await readOnly.database.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
      await endConnections(readOnly);
      await expect.poll(async () => (await ask({ path }, BLIND_KEY, readOnly)).status, POLL).toBe(200);
      expect(await answers(readOnly)).toEqual(REFUSED);
    } finally {
      await readOnly.stop();
    }
  });

  test('for the table is gone, whole numbers are 503, and masked ones are shown', async () => {
    await refusingRecords(service, async () => expect(await answers()).toEqual(REFUSED));
    expect((await ask({ path }, ALL_KEY)).status).toBe(200);
  });

  test('for somebody holds the table, whole numbers are 503, and everything else goes on', async () => {
    const holder = new Client(service.database.url);
    await holder.connect();
    try {
      await holder.query('BEGIN; LOCK TABLE reveals IN ACCESS EXCLUSIVE MODE');
      const asking = Promise.all(Array.from({ length: 50 }, async () => ask({ path }, ALL_KEY)));
      for (let round = 0; round < 10; round += 1) {
        expect((await ask({ path }, BLIND_KEY)).status).toBe(200);
        expect((await service.post(notification())).status).toBe(200);
      }
      expect(new Set((await asking).map(({ status }) => status))).toEqual(new Set([503]));
      const waiting = await service.database.query(
        `SELECT FROM pg_locks WHERE relation = 'reveals'::regclass AND NOT granted`,
      );
      expect(waiting.length).toBeLessThanOrEqual(1);
    } finally {
      await holder.end();
    }
    await expect.poll(async () => (await ask({ path }, ALL_KEY)).status, POLL).toBe(200);
  });
});

/** Those of the service, so that it makes new ones. */
async function endConnections({ database }: TestService): Promise<void> {
  await database.query(`
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()`);
}
