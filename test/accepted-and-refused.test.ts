import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Json, notification, startService, type TestService } from './support/service.js';
import { withStoppedTimers } from './support/timers.js';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(async () => service.stop());

const row = (changes: Json = {}): Json => ({ nodetask_id: 'n', nodetask_name: 'N', node_type: 'call', ...changes });

async function postAndGet(changes: Json): Promise<Json> {
  const answer = await service.post(notification(changes));
  expect(answer.text).toBe('{}');
  const delivered = await service.get(`/v1/notifications/${answer.headers.get('x-request-id')}`);
  return (await service.get(`/v1/cases/${delivered.body['case'].id}`)).body;
}

describe('accepted by design', () => {
  test('unknown fields, at every level and of every type, and they are kept', async () => {
    const body = notification({
      case_id: 'unknown fields',
      extra: { deep: [1, null, { a: true }] },
      rows: [row({ more: [1] })],
    });
    const answer = await service.post(body);
    expect(answer.status).toBe(200);
    const kept = await service.get(`/v1/notifications/${answer.headers.get('x-request-id')}`);
    expect(JSON.parse(kept.body['body'])).toEqual(body);
  });

  test('unknown node types', async () => {
    const found = await postAndGet({ case_id: 'unknown type', rows: [row({ node_type: 'carrier pigeon' })] });
    expect(found['node_tasks'][0].node_type).toBe('carrier pigeon');
  });

  test('an empty rows', async () => {
    expect((await postAndGet({ case_id: 'empty rows', rows: [] }))['node_tasks']).toEqual([]);
  });

  test('an empty case_id, which never merges two numbers', async () => {
    const one = await postAndGet({ case_id: '', callee_number: '+621' });
    const other = await postAndGet({ case_id: '', callee_number: '+622' });
    expect(one['id']).not.toBe(other['id']);
    const listed = await service.get('/v1/cases?case_id=&include_total=true');
    expect(listed.body['total']).toBe(2);
  });

  test('an empty callee_number beside a case_id', async () => {
    expect((await postAndGet({ case_id: 'no number', callee_number: '' }))['callee_number']).toBe('');
  });

  test('a nodetask_id twice in one rows, in the order received', async () => {
    const rows = [row({ task_id: 'first' }), row({ nodetask_id: 'other' }), row({ task_id: 'second' })];
    const found = await postAndGet({ case_id: 'twice', rows });
    expect(found['node_tasks'].map((each: Json) => [each['position'], each['nodetask_id'], each['task_id']])).toEqual([
      [0, 'n', 'first'],
      [1, 'other', null],
      [2, 'n', 'second'],
    ]);
  });

  test('task_id absent, null and empty all mean none, and are the same content', async () => {
    for (const [index, changes] of [{}, { task_id: null }, { task_id: '' }].entries()) {
      const found = await postAndGet({ case_id: 'no task', rows: [row(changes)] });
      expect(found['node_tasks'][0].task_id).toBeNull();
      expect(found).toMatchObject({ notification_count: index + 1, revision: 1 });
    }
  });

  test('the order of keys, white space and the spelling of characters are no content', async () => {
    const { rows, ...rest } = notification({ case_id: 'spelling', extra: { b: 1, a: 'é' } });
    await service.post({ ...rest, rows });
    const respelled = JSON.stringify({ rows, ...rest, extra: { a: 'é', b: 1 } }, null, 3).replace('é', '\\u00e9');
    await service.post(respelled);
    const [found] = (await service.get('/v1/cases?case_id=spelling')).body['data'];
    expect(found).toMatchObject({ notification_count: 2, revision: 1 });
  });

  test.each([
    ['a value', { extra: 1 }, { extra: 2 }],
    ['its type', { extra: 1 }, { extra: '1' }],
    ['where texts part', { extra: ['ab', 'c'] }, { extra: ['a', 'bc'] }],
    ['nesting', { extra: [[], []] }, { extra: [[[]]] }],
    ['its name', { extra: 1 }, { extrb: 1 }],
  ])('an unknown field that differs in %s is other content', async (difference, one, other) => {
    await service.post(notification({ case_id: difference, ...one }));
    const found = await postAndGet({ case_id: difference, ...other });
    expect(found['revision']).toBe(2);
  });

  test.each([
    '名前 😀 \u200d',
    '\u0001\u001f\u007f',
    '\uFFFF\u{10FFFF}',
    "'; DROP TABLE cases; --",
    '{"a": [1, \\2]}',
    '  ',
  ])('any Unicode that PostgreSQL can hold: %j', async (text) => {
    const found = await postAndGet({
      workflow_id: `w ${text}`,
      workflow_name: text,
      case_id: text,
      callee_number: text,
      rows: [{ nodetask_id: `n ${text}`, nodetask_name: text, node_type: text, task_id: text }],
    });
    expect(found).toMatchObject({
      workflow_id: `w ${text}`,
      workflow_name: text,
      case_id: text,
      callee_number: text,
      node_tasks: [{ nodetask_id: `n ${text}`, nodetask_name: text, node_type: text, task_id: text }],
    });
    const listed = await service.get(
      `/v1/cases?${new URLSearchParams({ case_id: text, workflow_id: `w ${text}` }).toString()}`,
    );
    expect(listed.body['data']).toHaveLength(1);
  });

  test('names of nearly the body limit', async () => {
    const name = 'ü'.repeat(500_000);
    const found = await postAndGet({ workflow_id: 'long name', workflow_name: name, case_id: 'long name' });
    expect(found['workflow_name']).toBe(name);
  });

  test('a long name that a case meets thousands of times, which no answer repeats in full', async () => {
    const short = Array.from({ length: 8_000 }, () => ({ nodetask_id: 'a', nodetask_name: '', node_type: '' }));
    const rows = [...short, { nodetask_id: 'a', nodetask_name: 'x'.repeat(400_000), node_type: '' }];
    const found = await postAndGet({ workflow_id: 'repeated', case_id: 'repeated', rows });
    expect(found['node_tasks']).toHaveLength(8_001);
    expect(found['node_tasks'][0].nodetask_name).toBe('x'.repeat(200));
    expect((await service.get('/v1/cases?case_id=repeated')).body['data']).toEqual([found]);
    const [nodeTask] = (await service.get('/v1/workflows/repeated/node-tasks')).body['data'];
    expect(nodeTask.nodetask_name).toHaveLength(400_000);
  });

  test('a long name that many cases share, which no answer repeats for each of them', async () => {
    const long = 'y'.repeat(200_000);
    const shared = { workflow_id: 'shared', rows: [row({ nodetask_id: 'shared' })] };
    for (let n = 0; n < 30; n += 1) await service.post(notification({ ...shared, case_id: `shared ${n}` }));
    const found = await postAndGet({
      ...shared,
      case_id: 'shared long',
      workflow_name: long,
      rows: [row({ nodetask_id: 'shared', nodetask_name: long })],
    });
    expect([found['workflow_name'], found['node_tasks'][0].nodetask_name]).toEqual([long, long]);
    const listed = await service.get('/v1/cases?workflow_id=shared&limit=1000');
    expect(listed.body['data']).toHaveLength(31);
    expect(listed.body['data'][0].workflow_name).toBe('y'.repeat(200));
    expect(listed.body['data'][0].node_tasks[0].nodetask_name).toBe('y'.repeat(200));
  });

  test('ids of 800 bytes, all at once', async () => {
    const id = (mark: string): string => randomText(799) + mark;
    const found = await postAndGet({
      workflow_id: id('w'),
      case_id: id('c'),
      callee_number: id('n'),
      rows: [row({ nodetask_id: id('t'), node_type: id('y'), task_id: id('k') })],
    });
    expect(found['case_id']).toHaveLength(800);
  });

  test('ten thousand node tasks in one notification', async () => {
    const rows = Array.from({ length: 10_000 }, (_, index) => row({ nodetask_id: `${index}` }));
    const found = await withStoppedTimers(async () => postAndGet({ workflow_id: 'many', case_id: 'many', rows }));
    expect(found['node_tasks']).toHaveLength(10_000);
    expect(found['node_tasks'][9_999].nodetask_id).toBe('9999');
  });

  test.each([
    ['array', '['.repeat(400_000) + ']'.repeat(400_000)],
    ['object', '{"a":'.repeat(150_000) + '1' + '}'.repeat(150_000)],
    ['wide array', `[${'1,'.repeat(400_000)}1]`],
  ])('an unknown %s as deep or wide as the body limit allows', async (sort, extra) => {
    const text = JSON.stringify(notification({ case_id: `deep ${sort}` })).replace(/^\{/, `{"extra":${extra},`);
    expect((await service.post(text)).text).toBe('{}');
    expect((await service.post(text)).text).toBe('{}');
    const [found] = (await service.get(`/v1/cases?case_id=deep+${sort.replace(' ', '+')}`)).body['data'];
    expect(found).toMatchObject({ notification_count: 2, revision: 1 });
  });

  test('a field called __proto__ changes nothing but the content', async () => {
    const text = JSON.stringify(notification({ case_id: 'proto' })).replace(
      /^\{/,
      '{"__proto__":{"workflow_id":5,"toString":1},',
    );
    expect((await service.post(text)).text).toBe('{}');
  });
});

describe('refused', () => {
  const surrogate = '\ud800';
  test.each<[string, Json, string, string]>([
    ['an empty workflow_id', { workflow_id: '' }, 'workflow_id', 'must not be empty'],
    ['an empty nodetask_id', { rows: [row({ nodetask_id: '' })] }, 'rows[0].nodetask_id', 'must not be empty'],
    [
      'neither case_id nor callee_number',
      { case_id: '', callee_number: '' },
      'case_id',
      'must not be empty when callee_number is empty too',
    ],
    ['a number for an id', { case_id: 11 }, 'case_id', 'must be a string'],
    ['an object for a name', { workflow_name: {} }, 'workflow_name', 'must be a string'],
    ['null for a required field', { callee_number: null }, 'callee_number', 'must be a string'],
    ['a number for task_id', { rows: [row({ task_id: 1 })] }, 'rows[0].task_id', 'must be a string'],
    ['an object for rows', { rows: {} }, 'rows', 'must be an array'],
    ['a missing rows', { rows: undefined }, 'rows', 'is missing; it must be an array'],
    [
      'a missing nodetask_name',
      { rows: [row(), row({ nodetask_name: undefined })] },
      'rows[1].nodetask_name',
      'is missing; it must be a string',
    ],
    ['a NUL in an id', { case_id: 'a\0b' }, 'case_id', 'must have no NUL character and no unpaired surrogate'],
    [
      'a NUL in a name',
      { workflow_name: '\0' },
      'workflow_name',
      'must have no NUL character and no unpaired surrogate',
    ],
    [
      'half a surrogate pair',
      { rows: [row({ node_type: surrogate })] },
      'rows[0].node_type',
      'must have no NUL character and no unpaired surrogate',
    ],
    ['an id of 801 bytes', { case_id: 'x'.repeat(801) }, 'case_id', 'must have at most 800 bytes in UTF-8'],
    [
      'an id of 801 bytes in fewer characters',
      { workflow_id: `x${'é'.repeat(400)}` },
      'workflow_id',
      'must have at most 800 bytes in UTF-8',
    ],
  ])('%s, with its place and reason, and the bytes are kept', async (_, changes, path, message) => {
    const text = JSON.stringify(notification(changes));
    const answer = await service.post(text);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: 'invalid_fields', errors: [{ path, message }] });
    const kept = await service.get(`/v1/quarantine/${answer.body['request_id']}`);
    expect(kept.body).toMatchObject({
      reason: 'invalid_fields',
      errors: [{ path, message }],
      body: text,
      body_encoding: 'utf-8',
    });
  });

  const strings = ['workflow_id', 'workflow_name', 'case_id', 'callee_number'];
  const rowStrings = ['nodetask_id', 'nodetask_name', 'node_type', 'task_id'];
  const otherTypes = [0, 12.5, true, {}, [], ['text']];
  test.each([
    ...strings.map((field) => [field, field, (value: unknown): Json => ({ [field]: value })] as const),
    ...rowStrings.map(
      (field) => [`rows[0].${field}`, field, (value: unknown): Json => ({ rows: [row({ [field]: value })] })] as const,
    ),
  ])('anything but a string for %s', async (path, field, changed) => {
    for (const value of field === 'task_id' ? otherTypes : [...otherTypes, null]) {
      const answer = await service.post(notification(changed(value)));
      expect(answer.body, JSON.stringify(value)).toMatchObject({
        code: 'invalid_fields',
        errors: [{ path, message: 'must be a string' }],
      });
    }
    for (const value of field === 'task_id' ? [] : [undefined]) {
      const answer = await service.post(notification(changed(value)));
      expect(answer.body).toMatchObject({ errors: [{ path, message: 'is missing; it must be a string' }] });
    }
  });

  test.each([
    ['objects without a field', '{}'],
    ['numbers', '1'],
  ])('a body full of rows that are %s, at no more cost than the faults that are told', async (_, item) => {
    const rows = `${`${item},`.repeat(Math.floor(1_000_000 / (item.length + 1)))}${item}`;
    const text = JSON.stringify(notification({ rows: [] })).replace('[]', `[${rows}]`);
    const answer = await service.post(text);
    expect(answer.status).toBe(400);
    expect(answer.text.length).toBeLessThan(20_000);
    expect(answer.body['errors']).toHaveLength(101);
    expect(answer.body['errors'].at(-1)).toEqual({ path: '', message: 'has more faults than the 100 listed here' });
    const kept = await service.get(`/v1/quarantine/${answer.body['request_id']}`);
    expect(kept.body['body']).toBe(text);
    expect(kept.body['errors']).toEqual(answer.body['errors']);
  });

  test.each(['null', '5', '"text"', '[]', 'true'])('a body that is %s, not an object', async (text) => {
    const answer = await service.post(text);
    expect(answer.body).toMatchObject({
      code: 'invalid_fields',
      errors: [{ path: '', message: 'must be a JSON object' }],
    });
  });

  test('the ids that can be read of a refused body are found beside it', async () => {
    const answer = await service.post(notification({ workflow_id: 'w', case_id: 'readable', rows: 'none' }));
    const kept = await service.get(`/v1/quarantine/${answer.body['request_id']}`);
    expect(kept.body).toMatchObject({ workflow_id: 'w', case_id: 'readable', callee_number: '+62123456' });
  });

  test('ids that PostgreSQL cannot hold are left out beside it', async () => {
    const answer = await service.post(notification({ case_id: 'a\0b', workflow_id: 5 }));
    const kept = await service.get(`/v1/quarantine/${answer.body['request_id']}`);
    expect(kept.body).toMatchObject({ workflow_id: null, case_id: null, callee_number: '+62123456' });
  });
});

/** Text that does not compress: PostgreSQL compresses long index entries before it measures them. */
function randomText(length: number): string {
  return Array.from({ length }, () => String.fromCharCode(33 + Math.floor(Math.random() * 90))).join('');
}
