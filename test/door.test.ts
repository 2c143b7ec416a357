import { request } from 'node:http';
import { connect } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { validate as isUuid, version as uuidVersion } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { notification, send, startService, type TestService, TOKEN, webhookPath } from './support/service.js';

const LIMIT_BYTES = 4096;
let service: TestService;

beforeAll(async () => {
  service = await startService({ config: { bodyLimitBytes: LIMIT_BYTES, webhookTokens: [TOKEN, 'second-token'] } });
});
afterAll(async () => service.stop());

const countNotifications = async (): Promise<number> => count('notifications');
const countQuarantined = async (): Promise<number> => count('quarantined_notifications');

async function count(table: string): Promise<number> {
  const [row] = await service.database.query<{ count: string }>(`SELECT count(*) FROM ${table}`);
  return Number(row?.count);
}

async function metric(series: string): Promise<number> {
  const { text } = await send(`${service.url}/metrics`);
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
}

describe('a valid notification', () => {
  test("the provider's own example is answered with 200 and exactly {}, and can be asked for", async () => {
    const answer = await service.post(notification());
    expect(answer.status).toBe(200);
    expect(answer.text).toBe('{}');

    const { body } = await service.get('/v1/cases?case_id=test-caseid11');
    expect(body['data']).toHaveLength(1);
    expect(body['data'][0]).toMatchObject({
      workflow_id: '707c2a72791f4fcd9890120ccfe52983',
      workflow_name: 'test-544-0001',
      case_id: 'test-caseid11',
      callee_number: '+62123456',
      notification_count: 1,
      revision: 1,
      node_tasks: [
        {
          position: 0,
          nodetask_name: 'Voicebot Call1',
          node_type: 'call',
          task_id: '1fe46b87ee3eb19b6e59fcacc4c66446',
        },
        { position: 1, nodetask_name: 'SMS1', node_type: 'sms', task_id: null },
        { position: 2, nodetask_name: 'Mail1', node_type: 'email', task_id: null },
      ],
    });
  });

  test('its X-Request-Id is a UUIDv7 and the id of the notification, whose bytes are kept as received', async () => {
    const bytes = ` {"extra" : "\\u00e9",\n "case_id":"kept", "callee_number":"1","workflow_id":"w","workflow_name":"n","rows":[]}`;
    const answer = await service.post(bytes);
    const id = answer.headers.get('x-request-id') ?? '';
    expect(isUuid(id) && uuidVersion(id)).toBe(7);

    const { body } = await service.get(`/v1/notifications/${id}`);
    expect(body).toMatchObject({ id, verdict: 'first', body: bytes, body_encoding: 'utf-8', body_bytes: bytes.length });
  });

  test('an X-Request-Id that the sender chose is not taken over', async () => {
    const chosen = '00000000-0000-7000-8000-000000000000';
    const answer = await service.post(notification({ case_id: 'own id' }), { 'x-request-id': chosen });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-request-id')).not.toBe(chosen);
  });

  test('sent again it is acknowledged, recorded and counted, and the case does not change', async () => {
    const again = notification({ case_id: 'again' });
    await service.post(again);
    const before = (await service.get('/v1/cases?case_id=again')).body['data'][0];
    expect((await service.post(again)).text).toBe('{}');
    const after = (await service.get('/v1/cases?case_id=again')).body['data'][0];
    expect(after).toEqual({ ...before, notification_count: 2, last_notified_at: after['last_notified_at'] });
    const timeline = await service.get(`/v1/cases/${before['id']}/notifications`);
    expect(timeline.body['data'].map((each: { verdict: string }) => each.verdict)).toEqual(['first', 'repeat']);
  });

  test('every one of several tokens opens the door', async () => {
    const headers = { 'content-type': 'application/json' };
    const init = { method: 'POST', headers, body: JSON.stringify(notification({ case_id: 'second' })) };
    expect((await send(`${service.url}${webhookPath('second-token')}`, init)).status).toBe(200);
  });

  test.each([
    ['application/json; charset=utf-8'],
    ['APPLICATION/JSON'],
    ['application/vnd.airudder+json'],
    ['text/json'],
  ])('content type %s is JSON', async (type) => {
    expect((await service.post(notification({ case_id: type }), { 'content-type': type })).status).toBe(200);
  });

  test('a missing content type is taken for JSON', async () => {
    const status = await new Promise((resolve, reject) => {
      request(`${service.url}${webhookPath()}`, { method: 'POST' }, (response) => {
        resolve(response.resume().statusCode);
      })
        .on('error', reject)
        .end(JSON.stringify(notification({ case_id: 'no type' })));
    });
    expect(status).toBe(200);
  });

  test.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ])('a body in %s is taken apart, and kept as the notification it is', async (coding, compress) => {
    const text = JSON.stringify(notification({ case_id: coding }));
    const answer = await service.post(compress(text), { 'content-encoding': coding });
    expect(answer.status).toBe(200);
    const { body } = await service.get(`/v1/notifications/${answer.headers.get('x-request-id')}`);
    expect(body['body']).toBe(text);
  });

  test('a byte order mark before the JSON is no fault', async () => {
    expect((await service.post(`\uFEFF${JSON.stringify(notification({ case_id: 'bom' }))}`)).status).toBe(200);
  });
});

describe('a body that is no valid notification', () => {
  test.each([
    ['is empty', '', 'The body is empty.'],
    ['ends too early', '{"case_id": "a', 'The body is not JSON: it ends too early.'],
    ['has a stray character', '{"case_id": x}', 'The body is not JSON.'],
    ['has something behind the end', '{} {}', 'The body is not JSON.'],
    ['is not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'The body is not UTF-8.'],
  ])('that %s is answered with 400 not_json, and its bytes are kept', async (_, bytes, detail) => {
    const answer = await service.post(bytes);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toMatch('application/problem+json');
    expect(answer.body).toMatchObject({ code: 'not_json', status: 400, detail, type: '/docs/problems/not_json' });
    expect(answer.body['request_id']).toBe(answer.headers.get('x-request-id'));

    const { body } = await service.get(`/v1/quarantine/${answer.body['request_id']}`);
    expect(body).toMatchObject({ reason: 'not_json', count: 1, kind: 'workflow-list-completion' });
    expect(Buffer.from(body['body'], body['body_encoding'] === 'base64' ? 'base64' : 'utf8')).toEqual(
      Buffer.from(bytes),
    );
  });

  test('every faulty field is named in one answer', async () => {
    const answer = await service.post({
      workflow_id: '',
      case_id: 5,
      callee_number: { number: '+62123456' },
      rows: [
        { nodetask_id: '', nodetask_name: 'a', node_type: 'call', task_id: 7 },
        'row',
        null,
        [],
        { node_type: true },
      ],
    });
    expect(answer.status).toBe(400);
    expect(answer.body['code']).toBe('invalid_fields');
    expect(answer.body['errors']).toEqual([
      { path: 'workflow_id', message: 'must not be empty' },
      { path: 'workflow_name', message: 'is missing; it must be a string' },
      { path: 'case_id', message: 'must be a string' },
      { path: 'callee_number', message: 'must be a string' },
      { path: 'rows[0].nodetask_id', message: 'must not be empty' },
      { path: 'rows[0].task_id', message: 'must be a string' },
      { path: 'rows[1]', message: 'must be an object' },
      { path: 'rows[2]', message: 'must be an object' },
      { path: 'rows[3]', message: 'must be an object' },
      { path: 'rows[4].nodetask_id', message: 'is missing; it must be a string' },
      { path: 'rows[4].nodetask_name', message: 'is missing; it must be a string' },
      { path: 'rows[4].node_type', message: 'must be a string' },
    ]);
  });

  test('equal bytes are counted, not stored again', async () => {
    const first = await service.post('[1]');
    const again = await service.post('[1]');
    expect(again.status).toBe(400);
    const { body } = await service.get(`/v1/quarantine/${first.body['request_id']}`);
    expect(body['count']).toBe(2);
    expect((await service.get(`/v1/quarantine/${again.body['request_id']}`)).status).toBe(404);
  });

  test('a content type that is not JSON is answered with 415, and the bytes are kept', async () => {
    const before = await countQuarantined();
    const answer = await service.post(notification({ case_id: 'plain' }), { 'content-type': 'text/plain' });
    expect(answer.status).toBe(415);
    expect(answer.body['code']).toBe('unsupported_media_type');
    expect(await countQuarantined()).toBe(before + 1);
    const { body } = await service.get(`/v1/quarantine/${answer.body['request_id']}`);
    expect(body).toMatchObject({ reason: 'unsupported_media_type', case_id: 'plain', callee_number: '+62123456' });
  });

  test('an unknown content coding is answered with 415, and the bytes are kept', async () => {
    for (const coding of ['zork', 'constructor']) {
      const answer = await service.post(`in ${coding}`, { 'content-encoding': coding });
      expect(answer.status).toBe(415);
      expect((await service.get(`/v1/quarantine/${answer.body['request_id']}`)).body['body']).toBe(`in ${coding}`);
    }
  });

  test('a body that is not in the coding it names is answered with 400, and the bytes are kept', async () => {
    const answer = await service.post('no gzip at all', { 'content-encoding': 'gzip' });
    expect(answer.status).toBe(400);
    expect(answer.body['code']).toBe('undecodable_body');
    expect((await service.get(`/v1/quarantine/${answer.body['request_id']}`)).body['body']).toBe('no gzip at all');
  });

  test('no answer repeats a value of the body', async () => {
    const answer = await service.post(`{"callee_number": "+6281234567", "rows": "+6281234567" oops`);
    expect(answer.status).toBe(400);
    expect(answer.text).not.toMatch('81234567');
  });
});

describe('a body over the limit', () => {
  const large = JSON.stringify(notification({ padding: 'x'.repeat(LIMIT_BYTES) }));
  const refused = 'airudder_notifications_refused_total{reason="body_too_large"}';

  test.each([
    ['with its length announced', large, {}],
    ['after decompression', gzipSync(large), { 'content-encoding': 'gzip' }],
  ])('%s is answered with 413, counted, and not kept', async (_, body, headers) => {
    const [quarantined, counted] = [await countQuarantined(), await metric(refused)];
    const answer = await service.post(body, headers);
    expect(answer.status).toBe(413);
    expect(answer.body['code']).toBe('body_too_large');
    expect(await countQuarantined()).toBe(quarantined);
    expect(await metric(refused)).toBe(counted + 1);
  });

  test('sent in chunks is answered with 413', async () => {
    const chunks = new ReadableStream({
      start(controller) {
        for (let sent = 0; sent < LIMIT_BYTES * 3; sent += 1000) controller.enqueue(new Uint8Array(1000).fill(0x20));
        controller.close();
      },
    });
    const init = { method: 'POST', body: chunks, duplex: 'half', headers: { 'content-type': 'application/json' } };
    const [quarantined, counted] = [await countQuarantined(), await metric(refused)];
    expect((await send(`${service.url}${webhookPath()}`, init as RequestInit)).status).toBe(413);
    expect(await countQuarantined()).toBe(quarantined);
    expect(await metric(refused)).toBe(counted + 1);
  });

  test('a body of exactly the limit is accepted', async () => {
    const empty = JSON.stringify(notification({ case_id: 'exact', padding: '' }));
    const exact = JSON.stringify(notification({ case_id: 'exact', padding: 'x'.repeat(LIMIT_BYTES - empty.length) }));
    expect(exact.length).toBe(LIMIT_BYTES);
    expect((await service.post(exact)).status).toBe(200);
  });
});

describe('who is not let in', () => {
  test.each([
    ['a wrong token', webhookPath('wrong')],
    ['an unknown kind', webhookPath(TOKEN, 'workflow-list-completed')],
    ['a token that is only the start of one', webhookPath(TOKEN.slice(0, -1))],
  ])('%s gets 404, the same answer, and leaves only a count', async (_, path) => {
    const counted = await metric('airudder_notifications_refused_total{reason="not_found"}');
    const before = [await countNotifications(), await countQuarantined()];
    const answer = await send(`${service.url}${path}`, { method: 'POST', body: JSON.stringify(notification()) });
    const { request_id: id, ...same } = answer.body;
    expect(id).toBe(answer.headers.get('x-request-id'));
    expect(same).toEqual({
      type: '/docs/problems/not_found',
      title: 'Not found',
      status: 404,
      detail: 'There is nothing here.',
      code: 'not_found',
    });
    expect([await countNotifications(), await countQuarantined()]).toEqual(before);
    expect(await metric('airudder_notifications_refused_total{reason="not_found"}')).toBe(counted + 1);
  });

  test.each([['/nowhere'], ['/v1/nowhere'], ['/webhooks'], ['/v1/workflows/%ff']])(
    '%s is answered as a problem',
    async (path) => {
      const answer = await send(`${service.url}${path}`);
      expect(answer.status).toBe(404);
      expect(answer.headers.get('content-type')).toMatch('application/problem+json');
      expect(answer.headers.get('x-request-id')).toBe(answer.body['request_id']);
    },
  );
});

test('a sender who hangs up halfway leaves nothing behind, and the door stays open', async () => {
  const before = [await countNotifications(), await countQuarantined()];
  const { port } = new URL(service.url);
  await new Promise<void>((resolve) => {
    const socket = connect(Number(port), '127.0.0.1', () => {
      socket.write(`POST ${webhookPath()} HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{"case_id":`);
      setTimeout(() => socket.destroy(), 100);
    });
    socket.on('close', () => resolve());
  });
  expect((await service.post(notification({ case_id: 'next' }))).status).toBe(200);
  expect([await countNotifications(), await countQuarantined()]).toEqual([(before[0] ?? 0) + 1, before[1]]);
});

test('a slow notification counts as received when it is here whole', async () => {
  const { port } = new URL(service.url);
  const text = JSON.stringify(notification({ case_id: 'slow' }));
  const socket = connect(Number(port), '127.0.0.1');
  const head = `POST ${webhookPath()} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${text.length}\r\n\r\n`;
  socket.write(head + text.slice(0, 5));
  await new Promise((resolve) => setTimeout(resolve, 200));
  await service.post(notification({ case_id: 'overtakes' }));
  socket.write(text.slice(5));
  await new Promise((resolve) => socket.resume().once('close', resolve));
  const { body } = await service.get('/v1/cases?limit=2');
  expect(body['data'].map((each: { case_id: string }) => each.case_id)).toEqual(['slow', 'overtakes']);
});

test('headers of more than 16 KiB are refused', async () => {
  const answer = await fetch(`${service.url}/health/live`, { headers: { padding: 'x'.repeat(17_000) } });
  expect(answer.status).toBe(431);
});

test('answers carry the protective headers, and do not name the framework', async () => {
  const { headers } = await send(`${service.url}/health/live`);
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  expect(headers.get('content-security-policy')).toMatch("default-src 'self'");
  expect(headers.has('x-powered-by')).toBe(false);
});
