import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRaw, type Raw } from './support/raw.js';
import {
  ALL_KEY,
  type Json,
  notification,
  send,
  startService,
  type TestService,
  webhookPath,
} from './support/service.js';

const PROMISED_MS = 30_000;
const HEAD = `POST ${webhookPath()} HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n`;
const LOOKUP = `POST /v1/cases/lookup HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${ALL_KEY}\r\nContent-Length: 500\r\n`;

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(async () => service.stop());

describe('a client that is slow to say what it wants is told so, and gone within 30 seconds', () => {
  test.concurrent.each([
    ['says nothing at all', ''],
    ['sends half a head', HEAD.slice(0, 30)],
    ['sends a head without its end', HEAD],
    ['sends half a notification', `${HEAD}\r\n{"case_id":`],
    ['sends half a question', `${LOOKUP}\r\n{"cases":[`],
    ['sends half a chunk', `${HEAD.replace('Content-Length: 500', 'Transfer-Encoding: chunked')}\r\n1f4\r\n{"case`],
  ])('one that %s', async (_, text) => {
    const client = await openRaw(service.url, text);
    expect(await client.closed).toBeLessThan(PROMISED_MS);
    expectProblem(client, 408, 'request_timeout');
  });

  test.concurrent.each([
    ['of its head', `${HEAD}X-Slow: `],
    ['of its body', `${HEAD}\r\n`],
  ])('one that sends a byte %s each second', async (_, text) => {
    const client = await openRaw(service.url, text);
    const timer = setInterval(() => client.socket.write(' '), 1_000);
    expect(await client.closed).toBeLessThan(PROMISED_MS);
    clearInterval(timer);
    expectProblem(client, 408, 'request_timeout');
  });

  test.concurrent('one that was turned away, and goes on sending slowly', async () => {
    const client = await openRaw(service.url, `${HEAD.replace(webhookPath(), webhookPath('wrong'))}\r\n{`);
    expect(await client.closed).toBeLessThan(PROMISED_MS);
    expectProblem(client, 404, 'not_found');
  });

  test.concurrent('one that comes later', async () => {
    await sleep(17_000); // a service that looks for slow clients every 30 seconds passes this one over
    const client = await openRaw(service.url, `${HEAD}\r\n{"case_id":`);
    expect(await client.closed).toBeLessThan(PROMISED_MS);
    expectProblem(client, 408, 'request_timeout');
  });

  test.concurrent('but a connection that was used waits for its next request', async () => {
    const client = await openRaw(service.url, 'GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n');
    await sleep(17_000);
    client.socket.write('GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await client.closed;
    expect(client.received().match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  });
});

test('two thousand idle connections hold up no notification', async () => {
  const used = 'GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n';
  const idle = await Promise.all(
    Array.from({ length: 2_000 }, async (_, n) => openRaw(service.url, n % 2 ? '' : used)),
  );
  expect((await service.post(notification({ case_id: 'among-many' }))).status).toBe(200);
  expect((await service.get('/v1/cases?case_id=among-many')).body['data']).toHaveLength(1);
  for (const { socket } of idle) socket.destroy();
});

describe('of its answer', () => {
  const ASKED = 'GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n';
  let impatient: TestService;
  beforeAll(async () => {
    impatient = await startService();
    const server: Server = impatient.app.getHttpServer();
    server.timeout /= 60; // a second is a minute here
  });
  afterAll(async () => impatient.stop());

  test('a client that takes nothing is let go', async () => {
    const client = await openRaw(impatient.url, ASKED.repeat(200));
    client.socket.pause();
    await expect.poll(async () => (await metrics()).includes('ended_total{reason="stalled"} 1'), WITHIN).toBe(true);
    client.socket.resume();
    await client.closed;
    expect(client.received().match(/HTTP\/1\.1 200/g)?.length).toBeLessThan(200);
  });

  test('a client that takes it slowly gets all', async () => {
    const client = await openRaw(impatient.url, ASKED.repeat(100));
    for (let n = 0; n < 10; n += 1) {
      client.socket.pause();
      await sleep(300);
      client.socket.resume();
      await sleep(20);
    }
    await expect.poll(() => client.received().match(/HTTP\/1\.1 200/g)?.length, WITHIN).toBe(100);
    client.socket.destroy();
  });

  test('a client that waits for it in silence gets it', async () => {
    const headers = { authorization: `Bearer ${ALL_KEY}`, 'content-type': 'application/json', prefer: 'wait=3' };
    const body = '{"cases":[{"case_id":"never"}]}';
    const answer = await send(`${impatient.url}/v1/cases/lookup`, { method: 'POST', headers, body });
    expect([answer.status, answer.body['data']?.length]).toEqual([200, 1]);
  });

  const metrics = async (): Promise<string> => (await send(`${impatient.url}/metrics`)).text;
});

const WITHIN = { timeout: 15_000, interval: 50 };

describe('what is no request is answered with a problem, and the connection is closed:', () => {
  const GET = 'GET /health/live HTTP/1.1\r\n';
  test.each([
    ['what is not HTTP', 'HELLO\r\n\r\n', 400, 'malformed_request'],
    ['a header that is none', `${GET}Host: a\r\nno colon here\r\n\r\n`, 400, 'malformed_request'],
    ['two lengths', `${HEAD}Content-Length: 5\r\n\r\n`, 400, 'malformed_request'],
    ['a length and chunks', `${HEAD}Transfer-Encoding: chunked\r\n\r\n`, 400, 'malformed_request'],
    ['no Host', `${GET}\r\n`, 400, 'malformed_request'],
    ['no Host at the webhook', `POST ${webhookPath()} HTTP/1.1\r\nContent-Length: 0\r\n\r\n`, 400, 'malformed_request'],
    [
      'a chunk without a size',
      `${HEAD.replace('Content-Length: 500', 'Transfer-Encoding: chunked')}\r\nzz\r\n`,
      400,
      'malformed_request',
    ],
    ['too many headers', `${GET}Host: a\r\nX: ${'x'.repeat(17_000)}\r\n\r\n`, 431, 'headers_too_large'],
    ['an expectation', `${GET}Host: a\r\nExpect: a-miracle\r\n\r\n`, 417, 'expectation_failed'],
  ])('%s', async (_, text, status, code) => {
    const client = await openRaw(service.url, text);
    expect(await client.closed).toBeLessThan(PROMISED_MS);
    expectProblem(client, status, code);
  });

  test('a request of HTTP/1.0 needs no Host', async () => {
    const client = await openRaw(service.url, 'GET /health/live HTTP/1.0\r\n\r\n');
    await client.closed;
    expect(client.received()).toMatch(/^HTTP\/1\.1 200 /);
  });
});

/** The first answer, and its last. */
function expectProblem(client: Raw, status: number, code: string): void {
  const [head = '', body = ''] = client.received().split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(head).toMatch(/^Content-Type: application\/problem\+json/im);
  const problem = JSON.parse(body.replace(/\}HTTP[^]*$/, '}')) as Json;
  expect(problem).toMatchObject({ status, code });
  expect(head).toContain(`X-Request-Id: ${problem['request_id']}`);
}
