import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Answer, type Json, notification, READ_KEY, startService, type TestService } from './support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startService();
  for (const [time, change] of COMPLETIONS) await postAt(time, change);
});
afterAll(async () => service.stop());
afterEach(() => {
  vi.useRealTimers();
});

const call = { nodetask_id: 'n1', nodetask_name: 'C', node_type: 'call' };
const again = { nodetask_id: 'n2', nodetask_name: 'C again', node_type: 'call' };
const sms = { nodetask_id: 'n3', nodetask_name: 'S', node_type: 'sms' };

const COMPLETIONS: [string, Json][] = [
  ['2026-01-31T09:00:00.000Z', { case_id: '1', workflow_id: 'a', rows: [call, sms, again] }],
  ['2026-01-31T09:59:59.999Z', { case_id: '2', workflow_id: 'a', rows: [call] }],
  ['2026-01-31T09:59:59.999Z', { case_id: '3', workflow_id: 'b', rows: [call, again] }],
  ['2026-01-31T10:00:00.000Z', { case_id: '4', workflow_id: 'b', rows: [sms] }],
  ['2026-01-31T12:30:00.000Z', { case_id: '5', workflow_id: 'b', rows: [] }],
  ['2026-01-31T12:30:00.000Z', { case_id: '1', workflow_id: 'a', rows: [call, sms, again] }], // again: the same case
  ['2026-02-02T00:00:00.000Z', { case_id: '6', workflow_id: 'a', rows: [call, sms] }],
];

async function postAt(time: string, change: Json): Promise<void> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.parse(time) });
  expect((await service.post(notification(change))).status).toBe(200);
  vi.useRealTimers();
}

const count = async (parameters: Json): Promise<Answer> =>
  service.get(`/v1/stats/completions?${new URLSearchParams(parameters).toString()}`, READ_KEY);
const bounds = (answer: Answer): string[] => {
  const buckets = answer.body['buckets'] as Json[];
  for (const [n, bucket] of buckets.entries()) expect(bucket['from']).toBe(buckets[n - 1]?.['to'] ?? bucket['from']);
  return [...buckets.map((bucket) => bucket['from']), buckets.at(-1)?.['to']];
};

const MORNING = { completed_from: '2026-01-31T09:00:00Z', completed_to: '2026-01-31T13:00:00Z' };

describe('completions', () => {
  test('are counted by the hour, hours without any too, and each case once for every type', async () => {
    expect((await count(MORNING)).body).toEqual({
      interval: 'hour',
      time_zone: 'UTC',
      total: 5,
      node_types: [
        { node_type: 'call', count: 3 },
        { node_type: 'sms', count: 2 },
      ],
      buckets: [hour(9, 3, 3, 1), hour(10, 1, 0, 1), hour(11, 0, 0, 0), hour(12, 1, 0, 0)],
    });
  });

  test('are those of the time asked for alone, so that a bucket at the end may be a part of an hour', async () => {
    const answer = await count({ completed_from: '2026-01-31T09:30:00Z', completed_to: '2026-01-31T10:00:00.001Z' });
    expect(bounds(answer)).toEqual([
      '2026-01-31T09:30:00.000Z',
      '2026-01-31T10:00:00.000Z',
      '2026-01-31T10:00:00.001Z',
    ]);
    expect(answer.body['buckets'].map((bucket: Json) => bucket['count'])).toEqual([2, 1]);
    expect(answer.body['total']).toBe(3);
  });

  test.each<[string, Json]>([
    ['nothing', {}],
    ['a workflow', { workflow_id: 'a' }],
    ['a type', { node_type: 'call' }],
    ['a workflow and a type', { workflow_id: 'b', node_type: 'call' }],
    ['a workflow that there is not', { workflow_id: 'none' }],
    ['a type that there is not', { node_type: 'none' }],
  ])('filtered by %s agree with the lists, in all, in every bucket and for every type', async (_, filter) => {
    for (const buckets of [
      { interval: 'hour', completed_from: '2026-01-31T09:30:00Z', completed_to: '2026-02-02T00:00:01Z' },
      { interval: 'hour', completed_from: '2026-01-31T00:00:00Z', completed_to: '2026-02-04T00:00:00Z' },
      { interval: 'day', time_zone: 'Asia/Jakarta', completed_from: '2026-01-01T00:00:00Z' },
    ]) {
      const answer = await count({ completed_to: '2026-02-03T00:00:00Z', ...buckets, ...filter });
      const all = answer.body;
      const [from, ...rest] = bounds(answer);
      expect(all['total']).toBe(await total(filter, from, rest.at(-1)));
      for (const each of all['node_types'] as Json[]) {
        expect(each['count']).toBe(await total({ ...filter, node_type: each['node_type'] }, from, rest.at(-1)));
      }
      for (const bucket of (all['buckets'] as Json[]).filter((_each, n) => n % 7 === 0 || n < 4)) {
        expect(bucket['count']).toBe(await total(filter, bucket['from'], bucket['to']));
        for (const each of bucket['node_types'] as Json[]) {
          const typed = { ...filter, node_type: each['node_type'] };
          expect(each['count']).toBe(await total(typed, bucket['from'], bucket['to']));
        }
      }
      const sum = (all['buckets'] as Json[]).reduce((so_far, bucket) => so_far + Number(bucket['count']), 0);
      expect(sum).toBe(all['total']);
    }
  });

  test('without a time are those of the last 24 hours or 30 days, the present one included', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2026-01-31T12:34:56.789Z') });
    const hours = await count({});
    expect([bounds(hours)[0], bounds(hours).at(-1)]).toEqual(['2026-01-30T13:00:00.000Z', '2026-01-31T13:00:00.000Z']);
    expect(hours.body['buckets']).toHaveLength(24);
    expect(hours.body['total']).toBe(5);
    const days = await count({ interval: 'day', time_zone: 'Asia/Jakarta' });
    expect([bounds(days)[0], bounds(days).at(-1)]).toEqual(['2026-01-01T17:00:00.000Z', '2026-01-31T17:00:00.000Z']);
    expect(days.body['buckets']).toHaveLength(30);
    const from = await count({ completed_from: '2026-01-31T12:00:00Z' });
    expect(bounds(from)).toEqual(['2026-01-31T12:00:00.000Z', '2026-01-31T13:00:00.000Z']);
  });

  test('of no time at all are none', async () => {
    const at = { completed_from: '2026-01-31T09:00:00Z', completed_to: '2026-01-31T09:00:00Z' };
    const backwards = { completed_from: '2026-01-31T09:00:00Z', completed_to: '2026-01-30T09:00:00Z' };
    for (const nothing of [at, backwards]) {
      expect((await count(nothing)).body).toMatchObject({ total: 0, node_types: [], buckets: [] });
    }
  });
});

function hour(start: number, cases: number, calls: number, texts: number): Json {
  const at = (hours: number): string => `2026-01-31T${String(hours).padStart(2, '0')}:00:00.000Z`;
  const node_types = [
    { node_type: 'call', count: calls },
    { node_type: 'sms', count: texts },
  ];
  return { from: at(start), to: at(start + 1), count: cases, node_types };
}

async function total(filter: Json, from = '', to = ''): Promise<number> {
  const parameters = { ...filter, completed_from: from, completed_to: to, include_total: 'true', limit: '1' };
  const { body } = await service.get(`/v1/cases?${new URLSearchParams(parameters).toString()}`, READ_KEY);
  return Number(body['total']);
}

describe('hours and days follow the clocks of the time zone', () => {
  const lengths = async (interval: string, time_zone: string, from: string, to: string): Promise<number[]> => {
    const answer = await count({ interval, time_zone, completed_from: from, completed_to: to });
    const times = bounds(answer).map((time) => Date.parse(time));
    return times.slice(1).map((time, n) => (time - (times[n] ?? 0)) / 60_000);
  };

  test.each<[string, string, string, string, number[]]>([
    ['in spring', 'Europe/Berlin', '2026-03-27T23:00:00Z', '2026-03-30T22:00:00Z', [1440, 1380, 1440]],
    ['in autumn', 'Europe/Berlin', '2026-10-23T22:00:00Z', '2026-10-26T23:00:00Z', [1440, 1500, 1440]],
    ['where midnight is left out', 'Africa/Cairo', '2026-04-22T22:00:00Z', '2026-04-25T21:00:00Z', [1440, 1380, 1440]],
    [
      'where midnight comes twice',
      'America/Havana',
      '2025-11-01T04:00:00Z',
      '2025-11-04T05:00:00Z',
      [1440, 1500, 1440],
    ],
    ['where a day was left out', 'Pacific/Apia', '2011-12-29T10:00:00Z', '2011-12-31T10:00:00Z', [1440, 1440]],
    ['of a zone with odd minutes', 'Asia/Kathmandu', '2026-01-30T18:15:00Z', '2026-02-01T18:15:00Z', [1440, 1440]],
  ])('a day %s', async (_, timeZone, from, to, minutes) => {
    expect(await lengths('day', timeZone, from, to)).toEqual(minutes);
  });

  test('an hour across the change, and in a zone with odd minutes', async () => {
    const spring = await lengths('hour', 'Europe/Berlin', '2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z');
    expect(spring).toEqual(Array.from({ length: 23 }, () => 60));
    const odd = await count({ ...MORNING, time_zone: 'Asia/Kathmandu' });
    expect(bounds(odd)).toEqual([
      '2026-01-31T09:00:00.000Z',
      '2026-01-31T09:15:00.000Z',
      '2026-01-31T10:15:00.000Z',
      '2026-01-31T11:15:00.000Z',
      '2026-01-31T12:15:00.000Z',
      '2026-01-31T13:00:00.000Z',
    ]);
    expect(odd.body['buckets'].map((bucket: Json) => bucket['count'])).toEqual([1, 3, 0, 0, 1]);
  });
});

describe('what cannot be counted is refused, and it is said why', () => {
  test.each<[Json, Json]>([
    [{ interval: 'week' }, { path: 'interval', message: 'must be hour or day' }],
    [{ time_zone: 'Nowhere/Land' }, { path: 'time_zone', message: 'must be an IANA time zone like Asia/Jakarta' }],
    [{ time_zone: '+07:00' }, { path: 'time_zone', message: 'must be an IANA time zone like Asia/Jakarta' }],
    [{ time_zone: 'XYZ-7' }, { path: 'time_zone', message: 'must be an IANA time zone like Asia/Jakarta' }],
    [{ case_id: '1' }, { path: 'case_id', message: 'is not a known parameter' }],
    [
      { completed_from: '2025-12-20T00:00:00Z', completed_to: '2026-01-31T00:00:00Z' },
      { path: 'completed_from', message: 'must be at most 1000 hours before completed_to' },
    ],
    [
      { interval: 'day', completed_from: '0001-01-01T00:00:00Z' },
      { path: 'completed_from', message: 'must be at most 1000 days before completed_to' },
    ],
  ])('%j', async (parameters, error) => {
    const { status, body } = await count(parameters);
    expect([status, body['code'], body['errors']]).toEqual([400, 'invalid_request', [error]]);
  });

  test('a thousand buckets are none too many', async () => {
    const { body } = await count({ completed_from: '2025-12-20T08:00:00Z', completed_to: '2026-01-31T00:00:00Z' });
    expect(body['buckets']).toHaveLength(1_000);
  });
});

test('the counts of a workflow and of its node tasks agree with the lists', async () => {
  for (const id of ['a', 'b']) {
    const { body: workflow } = await service.get(`/v1/workflows/${id}`, READ_KEY);
    const { body: cases } = await service.get(`/v1/cases?workflow_id=${id}&include_total=true&order=asc`, READ_KEY);
    const listed = cases['data'] as Json[];
    expect(workflow['case_count']).toBe(cases['total']);
    expect(workflow['notification_count']).toBe(
      listed.reduce((sum, each) => sum + Number(each['notification_count']), 0),
    );
    expect(workflow['first_completed_at']).toBe(listed[0]?.['completed_at']);
    expect(workflow['last_completed_at']).toBe(listed.at(-1)?.['completed_at']);
    const { body: tasks } = await service.get(`/v1/workflows/${id}/node-tasks`, READ_KEY);
    expect(tasks['data'].map((each: Json) => each['nodetask_id'])).toEqual(['n1', 'n2', 'n3']);
    for (const { nodetask_id, case_count } of tasks['data'] as Json[]) {
      const query = new URLSearchParams({ workflow_id: id, nodetask_id, include_total: 'true' });
      expect(case_count).toBe((await service.get(`/v1/cases?${query.toString()}`, READ_KEY)).body['total']);
    }
  }
});
