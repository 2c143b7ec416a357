import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Answer, type Json, notification, startService, type TestService } from './support/service.js';

let service: TestService;
let replica: TestService;
beforeAll(async () => {
  service = await startService();
  replica = await startService({ database: service.database });
});
afterAll(async () => {
  await replica.stop();
  await service.stop();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Posts as if it were so many minutes past noon: the provider sends no time, so receipt alone decides what is newer. */
async function postAt(minutes: number, body: Json): Promise<string> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2026-01-31T12:00:00.000Z') + minutes * 60_000 });
  const answer = await service.post(body);
  expect(answer.text).toBe('{}');
  return answer.headers.get('x-request-id') ?? '';
}

async function caseOf(caseId: string): Promise<Json> {
  const { body } = await service.get(`/v1/cases?case_id=${encodeURIComponent(caseId)}`);
  expect(body['data']).toHaveLength(1);
  return body['data'][0] as Json;
}

async function verdictsOf(caseId: string): Promise<[string, string][]> {
  const { body } = await service.get(`/v1/cases/${(await caseOf(caseId))['id']}/notifications`);
  return body['data'].map((each: Json) => [each['received_at'].slice(14, 16), each['verdict']]);
}

const shown = (found: Json): string => found['node_tasks'].map((each: Json) => each['nodetask_id']).join();
const through = (caseId: string, ...nodeTasks: string[]): Json =>
  notification({
    case_id: caseId,
    workflow_id: caseId,
    rows: nodeTasks.map((id) => ({ nodetask_id: id, nodetask_name: id, node_type: 'call' })),
  });

test('first, repeat and changed follow each other in order of receipt', async () => {
  await postAt(1, through('in order', 'a'));
  await postAt(2, through('in order', 'a'));
  await postAt(3, through('in order', 'a', 'b'));
  await postAt(4, through('in order', 'a', 'b'));
  await postAt(5, through('in order', 'a'));
  expect(await verdictsOf('in order')).toEqual([
    ['01', 'first'],
    ['02', 'repeat'],
    ['03', 'changed'],
    ['04', 'repeat'],
    ['05', 'changed'],
  ]);
  const found = await caseOf('in order');
  expect(shown(found)).toBe('a');
  expect(found).toMatchObject({
    completed_at: '2026-01-31T12:01:00.000Z',
    last_notified_at: '2026-01-31T12:05:00.000Z',
    notification_count: 5,
    revision: 3,
  });
});

describe('a delivery that differs from the one before it', () => {
  const call = { nodetask_id: 'n1', nodetask_name: 'Call', node_type: 'call', task_id: 't1', extra: { a: 1, b: [2] } };
  const sms = { nodetask_id: 'n2', nodetask_name: 'Sms', node_type: 'sms' };
  const base = {
    workflow_id: 'w',
    workflow_name: 'Name',
    case_id: 'c',
    callee_number: '+62',
    rows: [call, sms],
    note: 1,
  };

  async function verdictsOfTwo(change: Json): Promise<string[]> {
    const workflow_id = randomUUID();
    await service.complete({ ...base, workflow_id });
    await service.complete({ ...base, workflow_id, ...change });
    const { body } = await service.get(`/v1/cases?workflow_id=${workflow_id}`);
    const timelines = body['data'].map(async ({ id }: Json) => service.get(`/v1/cases/${id}/notifications`));
    const answers = (await Promise.all(timelines)) as Answer[];
    return answers.flatMap((answer) => answer.body['data'].map(({ verdict }: Json) => verdict as string));
  }

  test.each<[string, Json]>([
    ['workflow_name', { workflow_name: 'Other' }],
    ['the value of an unknown field', { note: 2 }],
    ['the type of an unknown field', { note: '1' }],
    ['the name of an unknown field', { note: undefined, remark: 1 }],
    ['an unknown field more', { more: null }],
    ['an unknown field less', { note: undefined }],
    ['nodetask_id', { rows: [{ ...call, nodetask_id: 'n3' }, sms] }],
    ['nodetask_name', { rows: [{ ...call, nodetask_name: 'Other' }, sms] }],
    ['node_type', { rows: [{ ...call, node_type: 'email' }, sms] }],
    ['task_id', { rows: [{ ...call, task_id: 't2' }, sms] }],
    ['no task_id', { rows: [{ ...call, task_id: null }, sms] }],
    ['an unknown field deep in a row', { rows: [{ ...call, extra: { a: 1, b: [3] } }, sms] }],
    [
      'the row of an unknown field',
      {
        rows: [
          { ...call, extra: undefined },
          { ...sms, extra: call.extra },
        ],
      },
    ],
    ['the order of rows', { rows: [sms, call] }],
    ['a row less', { rows: [call] }],
    ['a row twice', { rows: [call, sms, sms] }],
  ])('by %s alone is a change and not a repeat', async (_, change) => {
    expect(await verdictsOfTwo(change)).toEqual(['first', 'changed']);
  });

  test.each(['case_id', 'callee_number'])('by %s alone is the first of another case', async (field) => {
    expect(await verdictsOfTwo({ [field]: 'other' })).toEqual(['first', 'first']);
  });

  test.each<[string, Json]>([
    ['the order of keys', Object.fromEntries(Object.entries(base).toReversed().slice(0, -1))],
    ['the order of keys in an unknown field', { rows: [{ ...call, extra: { b: [2], a: 1 } }, sms] }],
    ['the way to say that there is no task', { rows: [call, { ...sms, task_id: '' }] }],
  ])('by %s alone is a repeat', async (_, change) => {
    expect(await verdictsOfTwo(change)).toEqual(['first', 'repeat']);
  });
});

test('a late delivery is recorded, moves the completion back, and changes nothing that is newer', async () => {
  await postAt(10, through('late', 'new'));
  await postAt(5, through('late', 'old'));
  expect(await verdictsOf('late')).toEqual([
    ['05', 'late'],
    ['10', 'first'],
  ]);
  const found = await caseOf('late');
  expect(shown(found)).toBe('new');
  expect(found).toMatchObject({
    completed_at: '2026-01-31T12:05:00.000Z',
    last_notified_at: '2026-01-31T12:10:00.000Z',
    notification_count: 2,
    revision: 2,
  });
  const listed = await service.get('/v1/cases?nodetask_id=new&completed_to=2026-01-31T12:06:00Z');
  expect(listed.body['data']).toHaveLength(1);
});

test('the older content stays readable', async () => {
  const old = await postAt(1, through('readable', 'old'));
  await postAt(2, through('readable', 'new'));
  const { body } = await service.get(`/v1/notifications/${old}`);
  expect(JSON.parse(body['body']).rows[0].nodetask_id).toBe('old');
});

test('whatever the order of arrival, the case is the same in the end', async () => {
  const deliveries: [number, string[]][] = [
    [1, ['a']],
    [2, ['b']],
    [3, ['b']],
    [4, ['a']],
    [5, ['c', 'a']],
  ];
  const orders = [
    [0, 1, 2, 3, 4],
    [4, 3, 2, 1, 0],
    [2, 4, 0, 3, 1],
    [3, 0, 4, 1, 2],
  ];
  const outcomes = [];
  for (const [index, order] of orders.entries()) {
    const caseId = `shuffled ${index}`;
    for (const place of order) {
      const [minutes, nodeTasks] = deliveries[place] as [number, string[]];
      await postAt(minutes, through(caseId, ...nodeTasks));
    }
    const { completed_at, last_notified_at, notification_count, revision, ...rest } = await caseOf(caseId);
    outcomes.push({ completed_at, last_notified_at, notification_count, revision, shown: shown(rest) });
  }
  expect(outcomes[0]).toEqual({
    completed_at: '2026-01-31T12:01:00.000Z',
    last_notified_at: '2026-01-31T12:05:00.000Z',
    notification_count: 5,
    revision: 4, // a, b, a, then c and a
    shown: 'c,a',
  });
  expect(new Set(outcomes.map((each) => JSON.stringify(each))).size).toBe(1);
});

describe('names', () => {
  const named = (workflow: string, workflowName: string, nodeTaskName: string, type = 'call'): Json =>
    notification({
      workflow_id: workflow,
      case_id: `${workflow} ${Math.random()}`,
      workflow_name: workflowName,
      rows: [{ nodetask_id: `${workflow} n`, nodetask_name: nodeTaskName, node_type: type }],
    });

  async function namesOf(workflow: string): Promise<string[]> {
    const { body } = await service.get(`/v1/workflows/${workflow}`);
    const nodeTasks = await service.get(`/v1/workflows/${workflow}/node-tasks`);
    const [nodeTask] = nodeTasks.body['data'];
    return [body['workflow_name'], nodeTask['nodetask_name'], nodeTask['node_type']];
  }

  test('follow the latest delivery, in every case of the workflow', async () => {
    const old = named('renamed', 'Old', 'Old node');
    await postAt(1, old);
    await postAt(2, named('renamed', 'New', 'New node', 'sms'));
    expect(await namesOf('renamed')).toEqual(['New', 'New node', 'sms']);
    const found = await caseOf(old['case_id']);
    expect(found['workflow_name']).toBe('New');
    // The type is what this case went through, as its own notification says it.
    expect(found['node_tasks'][0]).toMatchObject({ nodetask_name: 'New node', node_type: 'call' });
  });

  test('are not taken back by an older delivery', async () => {
    await postAt(10, named('not-back', 'New', 'New node'));
    await postAt(5, named('not-back', 'Old', 'Old node'));
    expect(await namesOf('not-back')).toEqual(['New', 'New node', 'call']);
  });

  test('where nothing changes, neither the workflow nor its node tasks are written or locked', async () => {
    await postAt(1, named('quiet', 'Name', 'Node'));
    const versions = async (): Promise<unknown> =>
      service.database.query(
        `SELECT xmin::text, xmax::text, ctid::text FROM workflows WHERE workflow_id = 'quiet'
         UNION ALL SELECT xmin::text, xmax::text, ctid::text FROM node_tasks WHERE workflow_id = 'quiet'`,
      );
    const before = await versions();
    await postAt(2, named('quiet', 'Name', 'Node'));
    expect(await versions()).toEqual(before);
  });
});

describe('identity', () => {
  test('the same case_id in another workflow or with another number is another case', async () => {
    await service.post(notification({ workflow_id: 'one', case_id: 'shared' }));
    await service.post(notification({ workflow_id: 'two', case_id: 'shared' }));
    await service.post(notification({ workflow_id: 'two', case_id: 'shared', callee_number: '+629' }));
    const { body } = await service.get('/v1/cases?case_id=shared');
    expect(new Set(body['data'].map((each: Json) => each['id'])).size).toBe(3);
  });

  test('no two identities run together where their texts part differently', async () => {
    await service.post(notification({ workflow_id: 'ab', case_id: 'c', callee_number: 'd' }));
    await service.post(notification({ workflow_id: 'a', case_id: 'bc', callee_number: 'd' }));
    await service.post(notification({ workflow_id: 'a', case_id: 'b', callee_number: 'cd' }));
    const [row] = await service.database.query<{ count: string }>(
      `SELECT count(*) FROM cases WHERE workflow_id || case_id || callee_number = 'abcd'`,
    );
    expect(row?.count).toBe('3');
  });

  test('a node task belongs to its workflow and is shared by the cases of it', async () => {
    const rows = [{ nodetask_id: 'shared node', nodetask_name: 'N', node_type: 'call' }];
    for (const workflow of ['left', 'right']) {
      for (const caseId of ['1', '2'])
        await service.post(notification({ workflow_id: workflow, case_id: caseId, rows }));
    }
    for (const workflow of ['left', 'right']) {
      const { body } = await service.get(`/v1/workflows/${workflow}/node-tasks`);
      expect(body['data']).toEqual([
        { nodetask_id: 'shared node', nodetask_name: 'N', node_type: 'call', case_count: 2 },
      ]);
    }
  });
});

test('the same new case sent many times at once to two replicas becomes one case, and every delivery counts', async () => {
  const bodies = Array.from({ length: 60 }, (_, index) => through('at once', index % 2 === 0 ? 'a' : 'b'));
  const answers = await Promise.all(
    bodies.map(async (body, index) => (index % 3 === 0 ? replica : service).post(body)),
  );
  expect(answers.map((answer) => answer.status)).toEqual(bodies.map(() => 200));

  const found = await caseOf('at once');
  expect(found['notification_count']).toBe(60);
  const { body } = await service.get(`/v1/cases/${found['id']}/notifications?limit=1000`);
  const ids = body['data'].map((each: Json) => each['id']);
  expect(ids.toSorted()).toEqual(answers.map((answer) => answer.headers.get('x-request-id')).toSorted());
  expect(body['data'].filter((each: Json) => each['verdict'] === 'first')).toHaveLength(1);

  const newest = body['data'].at(-1);
  const sent = bodies[answers.findIndex((answer) => answer.headers.get('x-request-id') === newest.id)];
  expect(shown(found)).toBe(sent?.['rows'][0].nodetask_id);
  expect(found['last_notified_at']).toBe(newest.received_at);
});
