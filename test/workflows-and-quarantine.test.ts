import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Answer, type Json, notification, READ_KEY, startService, type TestService } from './support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(async () => service.stop());
afterEach(() => {
  vi.useRealTimers();
});

const START = Date.parse('2026-01-31T00:00:00.000Z');

async function postAt(minutes: number, body: Json): Promise<void> {
  vi.useFakeTimers({ toFake: ['Date'], now: START + minutes * 60_000 });
  expect((await service.post(body)).status).toBe(200);
  vi.useRealTimers();
}

describe('workflows', () => {
  test('come newest activity first, and a page neither skips nor repeats one while others become active', async () => {
    for (let n = 0; n < 9; n += 1) await postAt(n, notification({ workflow_id: `w${n}`, workflow_name: `W${n}` }));
    const seen: string[] = [];
    let next: string | null = '';
    for (let page = 0; next !== null; page += 1) {
      const answer: Answer = await service.get(`/v1/workflows?limit=2${next && `&cursor=${next}`}`);
      seen.push(...answer.body['data'].map((each: Json) => each['workflow_id']));
      next = answer.body['next_cursor'];
      await postAt(100 + page, notification({ workflow_id: 'w0' })); // it would jump over the reader
      await postAt(100 + page, notification({ workflow_id: `new ${page}` }));
    }
    expect(seen).toEqual(['w8', 'w7', 'w6', 'w5', 'w4', 'w3', 'w2', 'w1', 'w0']);
    const { body } = await service.get('/v1/workflows?limit=1');
    expect(body['data'][0]).toEqual({
      workflow_id: 'w0',
      workflow_name: 'test-544-0001',
      last_notified_at: '2026-01-31T01:44:00.000Z',
    });
  });

  test('one has its counts and its first and last completion', async () => {
    await postAt(1, notification({ workflow_id: 'counted', case_id: '1' }));
    await postAt(2, notification({ workflow_id: 'counted', case_id: '2' }));
    await postAt(3, notification({ workflow_id: 'counted', case_id: '1' }));
    expect((await service.get('/v1/workflows/counted')).body).toEqual({
      workflow_id: 'counted',
      workflow_name: 'test-544-0001',
      last_notified_at: '2026-01-31T00:03:00.000Z',
      case_count: 2,
      notification_count: 3,
      first_completed_at: '2026-01-31T00:01:00.000Z',
      last_completed_at: '2026-01-31T00:02:00.000Z',
    });
  });

  test('an id with a slash, a percent sign or other letters is found by its escaped form', async () => {
    for (const id of ['a/b', '100%', 'ü?&#', '..']) {
      await service.post(notification({ workflow_id: id, case_id: 'odd ids' }));
      if (id === '..') continue; // no client can send this one as a path segment; the list has it
      expect((await service.get(`/v1/workflows/${encodeURIComponent(id)}`)).body['workflow_id']).toBe(id);
    }
    expect((await service.get('/v1/cases?workflow_id=..')).body['data']).toHaveLength(1);
  });

  test.each(['unknown', 'a%00b', '%ED%A0%80'])(
    'the unknown workflow %s is 404, and so are its node tasks',
    async (id) => {
      for (const path of [`/v1/workflows/${id}`, `/v1/workflows/${id}/node-tasks`]) {
        const { status } = await service.get(path);
        expect(status).toBe(404);
      }
    },
  );

  test('node tasks are paged, and count each case once however often it went through', async () => {
    const row = (id: string): Json => ({ nodetask_id: id, nodetask_name: `N${id}`, node_type: 'call' });
    await service.post(notification({ workflow_id: 'nt', case_id: '1', rows: ['a', 'b', 'a', 'c'].map(row) }));
    await service.post(notification({ workflow_id: 'nt', case_id: '2', rows: ['a'].map(row) }));
    const first = await service.get('/v1/workflows/nt/node-tasks?limit=2');
    const second = await service.get(`/v1/workflows/nt/node-tasks?limit=2&cursor=${first.body['next_cursor']}`);
    expect(
      [...first.body['data'], ...second.body['data']].map((each: Json) => [each['nodetask_id'], each['case_count']]),
    ).toEqual([
      ['a', 2],
      ['b', 1],
      ['c', 1],
    ]);
    expect(second.body).toEqual({
      data: [{ nodetask_id: 'c', nodetask_name: 'Nc', node_type: 'call', case_count: 1 }],
      next_cursor: null,
    });
  });

  test('an id that two workflows give to a node task is counted for each by itself', async () => {
    const rows = [{ nodetask_id: 'shared', nodetask_name: 'S', node_type: 'call' }];
    for (const case_id of ['1', '2', '3']) {
      await service.post(notification({ workflow_id: case_id === '1' ? 'sharing' : 'sharing too', case_id, rows }));
    }
    const counts = await Promise.all(
      ['sharing', 'sharing%20too'].map(
        async (id) => (await service.get(`/v1/workflows/${id}/node-tasks`)).body['data'],
      ),
    );
    expect(counts).toMatchObject([[{ case_count: 1 }], [{ case_count: 2 }]]);
  });

  test('a workflow whose cases went through nothing has an empty list of node tasks', async () => {
    await service.post(notification({ workflow_id: 'no nodes', rows: [] }));
    expect((await service.get('/v1/workflows/no%20nodes/node-tasks')).body).toEqual({ data: [], next_cursor: null });
  });
});

describe('names as long as a body', () => {
  const ids = Array.from({ length: 20 }, (_, n) => `long ${String(n).padStart(2, '0')}`);
  const name = 'n'.repeat(500_000);
  beforeAll(async () => {
    for (const id of ids) {
      await service.complete(notification({ workflow_id: id, workflow_name: name, rows: [] }));
      const rows = [{ nodetask_id: id, nodetask_name: name, node_type: 'call' }];
      await service.complete(notification({ workflow_id: 'long tasks', case_id: id, rows }));
    }
  });

  test.each([
    ['workflows', '/v1/workflows', 'workflow_id'],
    ['node tasks', '/v1/workflows/long%20tasks/node-tasks', 'nodetask_id'],
  ])('come whole in pages of some 8 MiB, which miss no %s', async (_, path, id) => {
    const seen: string[] = [];
    let pages = 0;
    for (let next: string | null = ''; next !== null; pages += 1) {
      const { body, text }: Answer = await service.get(`${path}?limit=1000${next && `&cursor=${next}`}`);
      expect(text.length).toBeLessThan(10 * 2 ** 20);
      const long = (body['data'] as Json[]).filter((each) => ids.includes(each[id] as string));
      for (const each of long) expect(each[id.replace('id', 'name')]).toBe(name);
      seen.push(...long.map((each) => each[id] as string));
      next = body['next_cursor'] as string | null;
    }
    expect(pages).toBe(2);
    expect(seen.toSorted()).toEqual(ids);
  });
});

describe('quarantine', () => {
  test('is listed newest first with what was wrong, and is paged', async () => {
    for (let n = 0; n < 5; n += 1) await service.post(notification({ case_id: n }));
    const first = await service.get('/v1/quarantine?limit=2');
    const second = await service.get(`/v1/quarantine?limit=3&cursor=${first.body['next_cursor']}`);
    expect(first.body['data'][0]).toEqual({
      id: expect.any(String),
      reason: 'invalid_fields',
      errors: [{ path: 'case_id', message: 'must be a string' }],
      count: 1,
      first_received_at: expect.stringMatching(/^\d{4}-.*Z$/),
      last_received_at: expect.stringMatching(/^\d{4}-.*Z$/),
      kind: 'workflow-list-completion',
      workflow_id: '707c2a72791f4fcd9890120ccfe52983',
      case_id: null,
      callee_number: '+62123456',
    });
    const bodies = [];
    for (const { id } of [...first.body['data'], ...second.body['data']]) {
      bodies.push(JSON.parse((await service.get(`/v1/quarantine/${id}`)).body['body']).case_id);
    }
    expect(bodies).toEqual([4, 3, 2, 1, 0]);
  });

  test('shows bytes that are no UTF-8 in base64', async () => {
    const bytes = Buffer.from([0xff, 0xfe, 0x00]);
    const refused = await service.post(bytes);
    const { body } = await service.get(`/v1/quarantine/${refused.body['request_id']}`);
    expect(body).toMatchObject({ body: bytes.toString('base64'), body_encoding: 'base64' });
  });

  test('is closed to keys without the scope operate', async () => {
    for (const path of ['/v1/quarantine', '/v1/quarantine/01234567-89ab-7def-8123-456789abcdef']) {
      const answer = await service.get(path, READ_KEY);
      expect(answer.status).toBe(403);
      expect(answer.body['code']).toBe('insufficient_scope');
    }
  });
});
