import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { postEvenAndOdd, START } from './support/even-and-odd.js';
import {
  ALL_KEY,
  type Answer,
  type Json,
  notification,
  READ_KEY,
  startService,
  type TestService,
} from './support/service.js';

let service: TestService;

const CASES = 24;

beforeAll(async () => {
  service = await startService();
  await postEvenAndOdd(service, CASES);
});
afterAll(async () => service.stop());

const list = async (parameters: Json, key = ALL_KEY): Promise<Answer> =>
  service.get(`/v1/cases?${new URLSearchParams(parameters).toString()}`, key);
const minutesOf = (answer: Answer): number[] =>
  answer.body['data'].map((each: Json) => Number(each['case_id'].slice(5)));
const minutes = (matches: (minute: number) => boolean): number[] =>
  Array.from({ length: CASES }, (_, minute) => CASES - 1 - minute).filter(matches);

describe('each filter returns all that match and nothing else', () => {
  test.each<[string, Json, (minute: number) => boolean]>([
    ['none', {}, () => true],
    ['workflow_id', { workflow_id: 'odd' }, (m) => m % 2 === 1],
    ['case_id', { case_id: 'case 7' }, (m) => m === 7],
    ['callee_number', { callee_number: '+6281234003' }, (m) => m % 5 === 3],
    ['node_type', { node_type: 'sms' }, (m) => m % 2 === 0],
    ['nodetask_id, met twice by a case', { nodetask_id: 'even call' }, (m) => m % 2 === 0],
    ['task_id', { task_id: 'task 1' }, (m) => m % 3 === 1],
    ['completed_from, inclusive', { completed_from: '2026-01-31T00:20:00Z' }, (m) => m >= 20],
    ['completed_to, exclusive', { completed_to: '2026-01-31T00:03:00.000Z' }, (m) => m < 3],
    ['a time in another zone', { completed_from: '2026-01-31T07:20:00+07:00' }, (m) => m >= 20],
    ['a time far from UTC', { completed_from: '2026-01-31T23:20:00+23:00' }, (m) => m >= 20],
    ['a time between two milliseconds', { completed_from: '2026-01-31T00:20:00.0001Z' }, (m) => m > 20],
    ['a time before all others', { completed_to: '0000-01-01T00:00:00Z' }, () => false],
    ['workflow and node type', { workflow_id: 'even', node_type: 'call' }, (m) => m % 2 === 0],
    ['workflow and a node type that it has not', { workflow_id: 'odd', node_type: 'sms' }, () => false],
    ['workflow and task', { workflow_id: 'odd', task_id: 'task 1' }, (m) => m % 2 === 1 && m % 3 === 1],
    ['case and node task', { case_id: 'case 4', nodetask_id: 'even sms' }, (m) => m === 4],
    ['number and task', { callee_number: '+6281234001', task_id: 'task 0' }, (m) => m % 5 === 1 && m % 3 === 0],
    ['a node task of one type with the task of another', { node_type: 'sms', task_id: 'task 1' }, () => false],
    [
      'everything',
      {
        workflow_id: 'even',
        case_id: 'case 6',
        callee_number: '+6281234001',
        node_type: 'call',
        nodetask_id: 'even call',
        task_id: 'task 0',
        completed_from: '2026-01-31T00:06:00Z',
        completed_to: '2026-01-31T00:06:00.001Z',
      },
      (m) => m === 6,
    ],
    ['a value that nobody has', { workflow_id: 'none' }, () => false],
  ])('%s', async (_, filter, matches) => {
    const expected = minutes(matches);
    const answer = await list({ ...filter, include_total: 'true' });
    expect(minutesOf(answer)).toEqual(expected);
    expect(answer.body['total']).toBe(expected.length);
    expect(minutesOf(await list({ ...filter, order: 'asc' }))).toEqual(expected.toReversed());
    expect(await pageThrough({ ...filter, limit: '3' })).toEqual(expected);
    expect(await pageThrough({ ...filter, limit: '1', order: 'asc' })).toEqual(expected.toReversed());
  });

  test('a plus sign may be written as it is', async () => {
    expect(minutesOf(await service.get('/v1/cases?callee_number=+6281234003'))).toEqual(minutes((m) => m % 5 === 3));
  });
});

async function pageThrough(parameters: Json, between = async (): Promise<unknown> => undefined): Promise<number[]> {
  const seen: number[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const answer = await list(cursor === '' ? parameters : { ...parameters, cursor });
    expect(answer.status).toBe(200);
    seen.push(...minutesOf(answer));
    cursor = answer.body['next_cursor'];
    await between();
  }
  return seen;
}

test('a filter that looks like SQL is a text, and matches nothing', async () => {
  for (const name of ['workflow_id', 'case_id', 'callee_number', 'node_type', 'nodetask_id', 'task_id']) {
    const answer = await list({ [name]: "' OR true --" });
    expect([answer.status, answer.body['data']], name).toEqual([200, []]);
  }
});

describe('paging', () => {
  test.each(['desc', 'asc'])('%s neither skips nor repeats a case while others arrive', async (order) => {
    const other = await startService();
    try {
      for (let n = 0; n < 10; n += 1) await other.post(notification({ case_id: `case ${n}` }));
      const get = async (cursor: string): Promise<Answer> => other.get(`/v1/cases?limit=2&order=${order}${cursor}`);
      const seen: string[] = [];
      let next: string | null = '';
      for (let page = 0; next !== null && page < 30; page += 1) {
        const answer: Answer = await get(next && `&cursor=${next}`);
        seen.push(...answer.body['data'].map((each: Json) => each['case_id']));
        next = answer.body['next_cursor'];
        if (page < 5) await other.post(notification({ case_id: `case 1${page}` }));
        if (page < 5) await other.post(notification({ case_id: `case ${page}` })); // again: the same case, no new place
      }
      const before = Array.from({ length: 10 }, (_, n) => `case ${n}`);
      expect(seen.filter((each) => before.includes(each))).toEqual(order === 'desc' ? before.toReversed() : before);
      expect(new Set(seen).size).toBe(seen.length);
      if (order === 'asc') expect(seen).toHaveLength(15);
    } finally {
      await other.stop();
    }
  });

  test('many cases of the same millisecond are each on exactly one page', async () => {
    const other = await startService();
    try {
      vi.useFakeTimers({ toFake: ['Date'], now: START });
      for (let n = 0; n < 7; n += 1) await other.post(notification({ case_id: `${n}` }));
      vi.useRealTimers();
      const seen: string[] = [];
      for (let next: string | null = ''; next !== null;) {
        const answer: Answer = await other.get(`/v1/cases?limit=2${next && `&cursor=${next}`}`);
        seen.push(...answer.body['data'].map((each: Json) => each['case_id']));
        next = answer.body['next_cursor'];
      }
      expect(seen.toSorted()).toEqual(['0', '1', '2', '3', '4', '5', '6']);
    } finally {
      await other.stop();
    }
  });

  test('limit is 50 unless told, and the last page has no cursor', async () => {
    const answer = await list({});
    expect(answer.body['data']).toHaveLength(CASES);
    expect(answer.body['next_cursor']).toBeNull();
    expect((await list({ limit: String(CASES) })).body['next_cursor']).toBeNull();
    expect((await list({ limit: String(CASES - 1) })).body['next_cursor']).toEqual(expect.any(String));
  });

  test('the page size may change from page to page', async () => {
    const first = await list({ limit: '2' });
    expect(minutesOf(await list({ limit: '20', cursor: first.body['next_cursor'] }))[0]).toBe(CASES - 3);
  });

  test.each<[string, Json]>([
    ['other filters', { workflow_id: 'odd', limit: '1' }],
    ['another order', { order: 'asc', limit: '1' }],
    ['another number', { callee_number: '+6281234001', limit: '1' }],
  ])('a cursor made for %s is refused', async (_, parameters) => {
    const { body } = await list(parameters);
    const answer = await list({ cursor: body['next_cursor'] });
    expect(answer.status).toBe(400);
    expect(answer.body['code']).toBe('invalid_cursor');
  });

  test.each(['x', 'AAAAAAAAAAAAAAAAAAAAAA', `${'A'.repeat(22)}W10`, '%00', '💥'])(
    'the cursor %j, which is none, is refused',
    async (cursor) => {
      expect((await list({ cursor })).body['code']).toBe('invalid_cursor');
    },
  );

  test('an altered cursor is refused', async () => {
    const cursor: string = (await list({ limit: '1' })).body['next_cursor'];
    for (const place of [0, 10, 21, 25, cursor.length - 3]) {
      const altered = cursor.slice(0, place) + (cursor[place] === 'A' ? 'B' : 'A') + cursor.slice(place + 1);
      expect((await list({ limit: '1', cursor: altered })).body['code']).toBe('invalid_cursor');
    }
  });

  test('a cursor carries no number, and nothing that could be tried against numbers without our key', async () => {
    const { body } = await list({ callee_number: '+6281234003', limit: '1' });
    const decoded = Buffer.from(body['next_cursor'], 'base64url').toString('latin1');
    expect(decoded).not.toMatch('81234003');
    const [secret] = await service.database.query<{ secret: Buffer }>(`SELECT secret FROM instance_secrets`);
    expect(secret?.secret).toHaveLength(32);
  });
});

describe('bad parameters are named, each with its fault', () => {
  test.each<[string, string, string]>([
    ['limit=0', 'limit', 'must be a whole number from 1 to 1000'],
    ['limit=1001', 'limit', 'must be a whole number from 1 to 1000'],
    ['limit=-1', 'limit', 'must be a whole number from 1 to 1000'],
    ['limit=1.5', 'limit', 'must be a whole number from 1 to 1000'],
    ['limit=', 'limit', 'must be a whole number from 1 to 1000'],
    ['limit=1e2', 'limit', 'must be a whole number from 1 to 1000'],
    ['limit=1&limit=2', 'limit', 'must be a whole number from 1 to 1000'],
    ['order=up', 'order', 'must be desc or asc'],
    ['include_total=yes', 'include_total', 'must be true or false'],
    [
      'completed_from=yesterday',
      'completed_from',
      'must be a time like 2026-01-31T00:00:00Z (RFC 3339; a plus sign in it is written %2B)',
    ],
    [
      'completed_from=2026-01-31',
      'completed_from',
      'must be a time like 2026-01-31T00:00:00Z (RFC 3339; a plus sign in it is written %2B)',
    ],
    [
      'completed_to=2026-01-31T00:00:00',
      'completed_to',
      'must be a time like 2026-01-31T00:00:00Z (RFC 3339; a plus sign in it is written %2B)',
    ],
    [
      'completed_to=2026-02-31T00:00:00Z',
      'completed_to',
      'must be a time like 2026-01-31T00:00:00Z (RFC 3339; a plus sign in it is written %2B)',
    ],
    [
      'completed_to=2026-01-31T24:00:01Z',
      'completed_to',
      'must be a time like 2026-01-31T00:00:00Z (RFC 3339; a plus sign in it is written %2B)',
    ],
    [
      'completed_to=2026-01-31T00:00:60Z',
      'completed_to',
      'must be a time like 2026-01-31T00:00:00Z (RFC 3339; a plus sign in it is written %2B)',
    ],
    ['case_id=a&case_id=b', 'case_id', 'must be given once'],
    ['case_id[]=a', 'case_id[]', 'is not a known parameter'],
    ['caseid=a', 'caseid', 'is not a known parameter'],
    ['workflow_id=a%00', 'workflow_id', 'must have no NUL character and no unpaired surrogate'],
  ])('%s', async (query, path, message) => {
    const answer = await service.get(`/v1/cases?${query}`);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: 'invalid_request', errors: [{ path, message }] });
  });
});

describe('one case', () => {
  test('is the same in the list and by its id', async () => {
    const [listed] = (await list({ case_id: 'case 6' })).body['data'];
    const { body } = await service.get(`/v1/cases/${listed.id}`);
    expect(body).toEqual(listed);
  });

  test('that does not exist is 404, and so is its timeline', async () => {
    const id = '01234567-89ab-7def-8123-456789abcdef';
    expect((await service.get(`/v1/cases/${id}`)).body['code']).toBe('not_found');
    expect((await service.get(`/v1/cases/${id}/notifications`)).body['code']).toBe('not_found');
  });

  test('whose id is no UUID is 400', async () => {
    const { status, body } = await service.get('/v1/cases/case%206');
    expect(status).toBe(400);
    expect(body['errors']).toEqual([{ path: 'id', message: 'must be a UUID' }]);
  });

  test('has a timeline that can be paged, in order of receipt', async () => {
    const posted: (string | null)[] = [];
    for (let n = 0; n < 5; n += 1) {
      posted.push((await service.post(notification({ case_id: 'timeline', extra: n }))).headers.get('x-request-id'));
    }
    const [found] = (await list({ case_id: 'timeline' })).body['data'];
    const seen: string[] = [];
    for (let next: string | null = ''; next !== null;) {
      const { body }: Answer = await service.get(
        `/v1/cases/${found.id}/notifications?limit=2${next && `&cursor=${next}`}`,
      );
      seen.push(...body['data'].map((each: Json) => each['id']));
      next = body['next_cursor'];
    }
    expect(seen).toEqual(posted);
  });
});

describe('without the scope reveal', () => {
  test('numbers are masked everywhere, and bodies are not shown', async () => {
    const answer = await list({ case_id: 'case 3' }, READ_KEY);
    const [found] = answer.body['data'];
    expect(found.callee_number).toBe('********003');
    const detail = await service.get(`/v1/cases/${found.id}`, READ_KEY);
    const timeline = await service.get(`/v1/cases/${found.id}/notifications`, READ_KEY);
    const one = await service.get(`/v1/notifications/${timeline.body['data'][0].id}`, READ_KEY);
    for (const each of [answer, detail, timeline, one]) {
      expect(each.text).toMatch('********003');
      expect(each.text).not.toMatch('6281234');
    }
    expect(one.body).not.toHaveProperty('body');
    expect(one.body).not.toHaveProperty('body_encoding');
  });

  test('a number can still be asked for', async () => {
    expect(minutesOf(await list({ callee_number: '+6281234003' }, READ_KEY))).toEqual(minutes((m) => m % 5 === 3));
  });
});
