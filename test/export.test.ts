import { setTimeout as sleep } from 'node:timers/promises';
import { parse } from 'csv-parse/sync';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { postEvenAndOdd } from './support/even-and-odd.js';
import {
  ALL_KEY,
  type Answer,
  type Json,
  notification,
  READ_KEY,
  startService,
  type TestService,
} from './support/service.js';

const POLL = { timeout: 15_000, interval: 50 };

const query = (parameters: Json): string => new URLSearchParams(parameters).toString();
const linesOf = ({ text }: Pick<Answer, 'text'>): string[] => text.split('\n').filter((line) => line !== '');

describe('an export', () => {
  let service: TestService;
  beforeAll(async () => {
    service = await startService();
    await postEvenAndOdd(service, 12);
  });
  afterAll(async () => service.stop());

  const exported = async (parameters: Json, key = ALL_KEY): Promise<Answer> =>
    service.get(`/v1/cases/export?${query(parameters)}`, key);

  test.each<[string, Json]>([
    ['nothing', {}],
    ['workflow_id', { workflow_id: 'odd' }],
    ['case_id', { case_id: 'case 7' }],
    ['callee_number', { callee_number: '+6281234003' }],
    ['node_type', { node_type: 'sms' }],
    ['a node task met twice by a case', { nodetask_id: 'even call' }],
    ['task_id', { task_id: 'task 1' }],
    ['time', { completed_from: '2026-01-31T00:02:00Z', completed_to: '2026-01-31T00:09:00Z' }],
    ['workflow and type', { workflow_id: 'even', node_type: 'call' }],
    ['number and task', { callee_number: '+6281234001', task_id: 'task 0' }],
    ['what nobody has', { workflow_id: 'none' }],
  ])('by %s has on each line a case exactly as the list shows it, in the same order', async (_, filter) => {
    for (const order of ['desc', 'asc']) {
      for (const key of [ALL_KEY, READ_KEY]) {
        const listed = await service.get(`/v1/cases?${query({ ...filter, order })}`, key);
        const lines = linesOf(await exported({ ...filter, order }, key));
        expect(lines).toEqual(listed.body['data'].map((each: Json) => JSON.stringify(each)));
      }
    }
  });

  test('as CSV has the same cases, a line each, under a header that is there without any too', async () => {
    const { body } = await service.get('/v1/cases?workflow_id=even', READ_KEY);
    const records: string[][] = parse((await exported({ workflow_id: 'even', format: 'csv' }, READ_KEY)).text);
    const join = (tasks: Json[], name: string): string => tasks.map((task) => task[name] ?? '').join('|');
    expect(records[0]).toEqual(HEADER);
    expect(records.slice(1)).toEqual(
      body['data'].map(({ node_tasks: tasks, ...one }: Json) => [
        ...HEADER.slice(0, 9).map((name) => String(one[name])),
        String(tasks.length),
        ...['nodetask_id', 'nodetask_name', 'node_type', 'task_id'].map((name) => join(tasks, name)),
      ]),
    );
    expect(records[1]?.at(-1)).toMatch(/^task \d\|\|task \d$/); // the second has none, and keeps its place
    expect((await exported({ workflow_id: 'none', format: 'csv' })).text).toBe(`${HEADER.join(',')}\r\n`);
  });

  test('is told by its headers: a file with a name, compressed, for nobody to store', async () => {
    const answer = await exported({ format: 'csv' });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
    expect(answer.headers.get('content-disposition')).toMatch(/^attachment; filename="cases-\d{8}T\d{6}Z\.csv"$/);
    expect(answer.headers.get('cache-control')).toBe('private, no-store');
    expect(answer.headers.get('content-encoding')).toBe('gzip');
  });

  test.each<[string, string | undefined, string]>([
    ['', undefined, 'application/x-ndjson'],
    ['', '*/*', 'application/x-ndjson'],
    ['', 'text/csv', 'text/csv; charset=utf-8; header=present'],
    ['', 'text/csv; charset=utf-8', 'text/csv; charset=utf-8; header=present'],
    ['', 'text/csv;q=0.5, application/x-ndjson', 'application/x-ndjson'],
    ['format=ndjson', 'text/csv', 'application/x-ndjson'],
    ['format=csv', 'application/x-ndjson', 'text/csv; charset=utf-8; header=present'],
  ])('asked for with "%s" and Accept: %s comes as %s', async (parameters, accept, type) => {
    const headers = { authorization: `Bearer ${ALL_KEY}`, ...(accept !== undefined && { accept }) };
    const response = await fetch(`${service.url}/v1/cases/export?${parameters}`, { headers });
    await response.text();
    expect(response.headers.get('content-type')).toBe(type);
  });

  test('is not limited, has no pages and no total: such parameters are refused, and so is an unknown format', async () => {
    for (const name of ['limit', 'cursor', 'include_total']) {
      const { status, body } = await exported({ [name]: '1' });
      expect([status, body['errors']]).toEqual([400, [{ path: name, message: 'is not a known parameter' }]]);
    }
    const { status, body, headers } = await exported({ format: 'xlsx' });
    expect([status, body['errors']]).toEqual([400, [{ path: 'format', message: 'must be ndjson or csv' }]]);
    expect(headers.get('content-disposition')).toBeNull();
  });
});

const HEADER = (
  'id,workflow_id,workflow_name,case_id,callee_number,completed_at,last_notified_at,notification_count,revision,' +
  'node_task_count,nodetask_ids,nodetask_names,node_types,task_ids'
).split(',');

describe('in CSV', () => {
  let service: TestService;
  beforeAll(async () => (service = await startService()));
  afterAll(async () => service.stop());

  const csvOf = async (workflow_id: string): Promise<string> =>
    (await service.get(`/v1/cases/export?${query({ format: 'csv', workflow_id })}`)).text;
  const recordOf = async (workflow_id: string): Promise<Json> =>
    parse<Json>(await csvOf(workflow_id), { columns: true })[0] ?? {};

  test.each(['=1+1', '+1', '-1', '@SUM(A1)', '\tx', '\rx', '\n=1', '＝1', '=1\n+1', "'=1", "'t", '=cmd|a!A1'])(
    'a text that a spreadsheet would take for a formula, or for one made harmless (%j), has an apostrophe before it',
    async (text) => {
      const rows = [{ nodetask_id: text, nodetask_name: text, node_type: text, task_id: text }];
      await service.post(notification({ workflow_id: text, workflow_name: text, case_id: text, rows }));
      const record = await recordOf(text);
      for (const column of ['workflow_id', 'workflow_name', 'case_id']) expect(record[column]).toBe(`'${text}`);
      for (const column of ['nodetask_ids', 'nodetask_names', 'node_types', 'task_ids'])
        expect(record[column]).toBe(`'${text.replaceAll('|', '\\|')}`);
      expect(record['callee_number']).toBe(`'+62123456`);
    },
  );

  test('commas, quotes, line breaks and other letters come through as they are', async () => {
    const name = 'a,b "c"\nd\re\r\nf ünï 💥 \\ |';
    await service.post(notification({ workflow_id: 'odd', workflow_name: name }));
    expect((await recordOf('odd'))['workflow_name']).toBe(name);
  });

  test('a separator in a name cannot be taken for one between two', async () => {
    const task = (name: string): Json => ({ nodetask_id: name, nodetask_name: name, node_type: 'call' });
    await service.post(notification({ workflow_id: 'bars', rows: [task('a|b'), task('c\\'), task('d')] }));
    expect((await recordOf('bars'))['nodetask_names']).toBe('a\\|b|c\\\\|d');
  });

  test('lines end as RFC 4180 has it, and a byte order mark says that it is UTF-8', async () => {
    await service.post(notification({ workflow_id: 'plain' }));
    const response = await fetch(`${service.url}/v1/cases/export?format=csv&workflow_id=plain`, {
      headers: { authorization: `Bearer ${ALL_KEY}` },
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(bytes.subarray(0, 5).toString('hex')).toBe('efbbbf6964');
    expect(bytes.toString().split('\r\n')).toHaveLength(3);
  });
});

/** More than fits into all buffers between PostgreSQL and a client that does not read. */
const MANY = 40_000;

describe('an export that takes a while', () => {
  let service: TestService;
  let clients: AbortController[];
  beforeAll(async () => {
    service = await startService();
    await fill(service, MANY);
  });
  afterAll(async () => service.stop());
  beforeEach(() => {
    clients = [];
  });
  afterEach(async () => {
    for (const client of clients) client.abort();
    while ((await readers()).length > 0) await sleep(50);
  });

  /** Begins an export whose body is read only when it is asked for. */
  async function begin(parameters = ''): Promise<Response> {
    const client = new AbortController();
    clients.push(client);
    return fetch(`${service.url}/v1/cases/export?${parameters}`, {
      headers: { authorization: `Bearer ${ALL_KEY}`, 'accept-encoding': 'identity' },
      signal: client.signal,
    });
  }

  /** What the readers' connections are in the middle of. */
  async function readers(): Promise<Json[]> {
    return service.database.query<Json>(`
      SELECT pid, state, query FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE '%readers' AND state <> 'idle'`);
  }

  test('shows one moment, also to a client that pauses for longer than a transaction may else be idle', async () => {
    const response = await begin('order=asc');
    await sleep(6_000);
    await service.post(notification({ case_id: 'new' }));
    await service.database.query(`UPDATE workflows SET workflow_name = 'renamed' WHERE workflow_id = 'w1'`);
    const lines = linesOf({ text: await response.text() });
    expect(lines).toHaveLength(MANY);
    expect(lines.filter((line) => line.includes('renamed'))).toEqual([]);
    expect(new Set(lines.map((line) => (JSON.parse(line) as Json)['id'])).size).toBe(MANY);
    expect(linesOf({ text: await (await begin()).text() })).toHaveLength(MANY + 1);
  });

  test('ends on the server when the client leaves between two chunks', async () => {
    await begin();
    await expect.poll(async () => (await readers())[0]?.['state'], POLL).toBe('idle in transaction');
    clients[0]?.abort();
    await expect.poll(async () => readers(), POLL).toEqual([]);
  });

  test('ends on the server when the client leaves in the middle of a statement', async () => {
    const lock = await locked('case_node_tasks');
    const answer = begin().catch((error: unknown) => (error as Error).name);
    await expect.poll(async () => (await readers())[0]?.['state'], POLL).toBe('active');
    clients[0]?.abort();
    expect(await answer).toBe('AbortError');
    await expect.poll(async () => readers(), POLL).toEqual([]);
    await lock.end();
  });

  test('that breaks in the middle does not look complete', async () => {
    const response = await begin();
    await expect.poll(async () => (await readers())[0]?.['state'], POLL).toBe('idle in transaction');
    await service.database.query(`SELECT pg_terminate_backend($1)`, [(await readers())[0]?.['pid']]);
    await expect(response.text()).rejects.toThrow('terminated');
  });

  test('leaves connections for others: a third at once is told to come again, and later it may', async () => {
    const two = [await begin(), await begin('format=csv')];
    const refused = await begin();
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(refused.headers.get('content-disposition')).toBeNull();
    expect(((await refused.json()) as Json)['code']).toBe('service_unavailable');
    await Promise.all(two.map(async (response) => response.text()));
    await expect.poll(async () => (await begin()).status, POLL).toBe(200);
  });

  test('is not begun by HEAD, which tells the headers', async () => {
    const lock = await locked('cases');
    const response = await fetch(`${service.url}/v1/cases/export?format=csv`, {
      method: 'HEAD',
      headers: { authorization: `Bearer ${ALL_KEY}` },
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-disposition')).toMatch(/\.csv"$/);
    expect(await readers()).toEqual([]);
    await lock.end();
  });

  test('is broken off when the service ends, which does not wait for it', async () => {
    const other = await startService({ database: service.database });
    const response = await fetch(`${other.url}/v1/cases/export`, {
      headers: { authorization: `Bearer ${ALL_KEY}`, 'accept-encoding': 'identity' },
    });
    await other.stop();
    await expect(response.text()).rejects.toThrow('terminated');
    await expect.poll(readers).toEqual([]);
  });

  /** Holds a table, so that whoever reads it waits, until the connection is ended. */
  async function locked(table: string): Promise<Client> {
    const client = new Client(service.database.url);
    await client.connect();
    await client.query('BEGIN');
    await client.query(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
    return client;
  }
});

async function fill({ database }: TestService, cases: number): Promise<void> {
  await database.query(`INSERT INTO workflows SELECT 'w1', 'W', now(), gen_random_uuid()`);
  await database.query(`
    INSERT INTO node_tasks SELECT 'w1', 'n' || n, 'N' || n, 'call', now(), gen_random_uuid() FROM generate_series(0, 2) n`);
  await database.query(`
    INSERT INTO cases
    SELECT gen_random_uuid(), 'w1', 'c' || n, repeat('8', 12), at, at, 1, 1, gen_random_uuid(), '\\x00'
    FROM generate_series(1, ${cases}) n, LATERAL (SELECT timestamptz '2026-01-01' + make_interval(secs => n) AS at) AS t`);
  await database.query(`
    INSERT INTO case_node_tasks SELECT id, n, workflow_id, 'n' || n, 'call', NULL, completed_at FROM cases, generate_series(0, 2) n`);
  await database.query('ANALYZE');
}
