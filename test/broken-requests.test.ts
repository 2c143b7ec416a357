import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exchange, parseAnswers } from './support/fuzz-exchange.js';
import { type Answer, notification, startService, type TestService, webhookPath } from './support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(async () => service.stop());

const START = `POST ${webhookPath()} HTTP/1.1\r\nHost: service\r\n`;
const body = JSON.stringify(notification());

async function sendBytes(bytes: string | Buffer, silenceMs?: number): Promise<Answer[]> {
  const leaving = silenceMs === undefined ? 'when the service does' : { afterSilenceMs: silenceMs };
  return parseAnswers(await exchange(service.url, [[Buffer.from(bytes), 0]], leaving));
}

test.each([
  ['another protocol', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'malformed_request'],
  ['TLS', '\u0016\u0003\u0001\u0002\0\u0001\0\u0001\u0003\u0003', 400, 'malformed_request'],
  ['two lengths', `${START}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`, 400, 'malformed_request'],
  [
    'a length and chunks',
    `${START}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
    'malformed_request',
  ],
  ['a chunk without a length', `${START}Transfer-Encoding: chunked\r\n\r\nx\r\n`, 400, 'malformed_request'],
  [
    'endless chunk extensions',
    `${START}Transfer-Encoding: chunked\r\n\r\n1;${'e'.repeat(20_000)}\r\n`,
    413,
    'body_too_large',
  ],
  ['too long an address', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: service\r\n\r\n`, 431, 'headers_too_large'],
  ['too long a header', `${START}X: ${'a'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
])('%s is answered as a problem with an id, and the connection ends', async (_, bytes, status, code) => {
  const [answer, ...others] = await sendBytes(bytes);
  expect(others).toEqual([]);
  expect(answer).toMatchObject({ status, body: { status, code, type: `/docs/problems/${code}` } });
  expect(answer?.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  expect(answer?.headers.get('connection')).toBe('close');
  expect(answer?.headers.get('x-request-id')).toBe(answer?.body['request_id']);
});

test('a body whose sender stops in the middle is answered with 400 incomplete_body, and nothing is kept', async () => {
  const [answer] = await sendBytes(`${START}Content-Length: ${body.length}\r\n\r\n${body.slice(0, -9)}`, 1);
  expect(answer).toMatchObject({ status: 400, body: { code: 'incomplete_body' } });
  const kept = await service.database.query('SELECT FROM quarantined_notifications');
  expect(kept).toEqual([]);
});

test('whole requests before a broken one on the same connection are answered first, each with its own answer', async () => {
  const whole = `${START}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  const answers = await sendBytes(`${whole}${whole}no HTTP\r\n\r\n`);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 400]);
  expect(new Set(answers.map(({ headers }) => headers.get('x-request-id'))).size).toBe(3);
});

test('who first sends all of a body reads the answer that came early: the connection is not reset under it', async () => {
  const length = 600_000;
  const socket = connect({ port: Number(new URL(service.url).port), host: '127.0.0.1', allowHalfOpen: true });
  const chunks: Buffer[] = [];
  const errors: string[] = [];
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', ({ message }) => errors.push(message));
  socket.write(`POST ${webhookPath('wrong')} HTTP/1.1\r\nHost: service\r\n`);
  socket.write(`Connection: close\r\nContent-Length: ${length}\r\n\r\n`);
  for (let sent = 0; sent < length; sent += 100_000) {
    await sleep(20);
    socket.write(Buffer.alloc(100_000));
  }
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).once('end', () => socket.end());
  await closed;
  expect(errors).toEqual([]);
  expect(parseAnswers(Buffer.concat(chunks)).map(({ status }) => status)).toEqual([404]);
});

test('who never sends the rest after an early answer is let go all the same', async () => {
  const [answer] = await sendBytes(
    `POST ${webhookPath('wrong')} HTTP/1.1\r\nHost: service\r\nConnection: close\r\nContent-Length: 9\r\n\r\n`,
  );
  expect(answer?.status).toBe(404);
});
