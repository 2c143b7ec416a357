import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { AdmissionControl } from '../src/ingest/webhook/admission.js';
import { POLL } from './support/chaos.js';
import { notification, startService, type TestService, webhookPath } from './support/service.js';
import { POLL_STOPPED, stopTimers } from './support/timers.js';

let service: TestService;
let other: Client;
beforeAll(async () => {
  service = await startService();
});
afterAll(async () => service.stop());
beforeEach(async () => {
  other = new Client(service.database.url);
  await other.connect();
  await other.query('BEGIN');
});
afterEach(async () => {
  vi.useRealTimers();
  await other.end();
});

async function metric(name: string): Promise<number> {
  const { text } = await service.get('/metrics');
  return Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
}

/** The lock of the test holds up a statement of the service, whose limits have begun by then. */
async function awaitHeldUp(): Promise<void> {
  const text = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  await expect.poll(async () => service.database.query(text), POLL_STOPPED).toHaveLength(1);
}

test('what arrives while a commit is under way travels together in the next one', async () => {
  stopTimers();
  await service.post(notification({ case_id: 'warm' }));
  const commits = await metric('airudder_commit_notifications_count');
  await other.query(`LOCK TABLE cases IN SHARE MODE`);
  const first = service.post(notification({ case_id: 'together' }));
  await awaitHeldUp();
  const others = Array.from({ length: 60 }, async (_, n) => service.post(notification({ case_id: `together ${n}` })));
  await expect.poll(async () => metric('airudder_door_waiting_notifications'), POLL_STOPPED).toBe(61);
  await other.query('COMMIT');
  for (const answer of await Promise.all([first, ...others])) expect(answer.status).toBe(200);
  expect(await metric('airudder_commit_notifications_count')).toBe(commits + 2);
  const { body } = await service.get('/v1/cases?limit=1000');
  expect(body['data'].filter((each: { case_id: string }) => each.case_id.startsWith('together'))).toHaveLength(61);
});

test('a commit may take 700 ms: then its notification is acknowledged by the spool, while PostgreSQL is still at it', async () => {
  stopTimers();
  await service.complete(notification({ case_id: 'warm' }));
  await other.query(`LOCK TABLE cases IN SHARE MODE`);
  let isAnswered = false;
  const answer = service.post(notification({ case_id: 'takes long' })).finally(() => (isAnswered = true));
  await awaitHeldUp();
  vi.advanceTimersByTime(699);
  expect([isAnswered, await metric('airudder_door_spooling')]).toEqual([false, 0]);
  vi.advanceTimersByTime(1);
  expect(await metric('airudder_door_spooling')).toBe(1); // and not only once PostgreSQL gives the statement up
  expect((await answer).status).toBe(200);
  expect(await metric('airudder_spool_notifications')).toBe(1);
  vi.useRealTimers();
  await other.query('COMMIT');
  await expect.poll(async () => metric('airudder_spool_notifications'), POLL).toBe(0);
  const { body } = await service.get('/v1/cases?case_id=takes%20long');
  expect(body['data'][0].notification_count).toBe(1);
});

test('the rows that all notifications name are neither written nor locked while nothing about them changes', async () => {
  await service.post(notification({ case_id: 'the names are known' }));
  await other.query(`SELECT FROM workflows FOR UPDATE`);
  await other.query(`SELECT FROM node_tasks FOR UPDATE`);
  const answer = await service.post(notification({ case_id: 'while others hold the names' }));
  expect(answer.status).toBe(200);
  const found = await service.get(`/v1/notifications/${answer.headers.get('x-request-id')}`);
  expect(found.body['verdict']).toBe('first'); // at once, not by the spool
  const touched = await other.query(
    `SELECT FROM workflows WHERE xmin::text <> (SELECT min(xmin::text) FROM workflows)`,
  );
  expect(touched.rowCount).toBe(0);
  await other.query('ROLLBACK');
});

test('a door with no room left answers 503 with Retry-After, and accepts again once there is room', async () => {
  const bodies = Array.from({ length: 32 }, async () => sendAllButTheEnd(1_048_576));
  const senders = await Promise.all(bodies);
  await expect.poll(async () => metric('airudder_door_waiting_bytes')).toBe(32 * (1_048_576 - 1));
  const refused = await service.post(notification({ case_id: 'no room' }));
  expect(refused.body).toMatchObject({ status: 503, code: 'service_unavailable' });
  expect(refused.headers.get('retry-after')).toBe('5');
  expect((await service.get('/v1/cases?case_id=no%20room')).body['data']).toEqual([]);
  for (const sender of senders) sender.destroy();
  await expect.poll(async () => metric('airudder_door_waiting_bytes')).toBe(0);
  expect((await service.post(notification({ case_id: 'room again' }))).status).toBe(200);
});

test('decompressed bytes take room too: where they find none the answer is 503, and 200 once there is room', async () => {
  const size = 1_048_576;
  const compressed = gzipSync(JSON.stringify(notification({ case_id: 'decompressed' })).padEnd(size));
  const senders = await Promise.all(Array.from({ length: 31 }, async () => sendAllButTheEnd(size)));
  await expect.poll(async () => metric('airudder_door_waiting_bytes')).toBe(31 * (size - 1));
  const refused = await service.post(compressed, { 'content-encoding': 'gzip' });
  expect(refused.body).toMatchObject({ status: 503, code: 'service_unavailable' });
  expect(refused.headers.get('retry-after')).toBe('5');
  expect(await metric('airudder_door_waiting_bytes')).toBe(31 * (size - 1));
  for (const sender of senders) sender.destroy();
  await expect.poll(async () => metric('airudder_door_waiting_bytes')).toBe(0);
  expect((await service.post(compressed, { 'content-encoding': 'gzip' })).status).toBe(200);
  expect(await metric('airudder_door_waiting_bytes')).toBe(0);
});

test('two bodies of the greatest size allowed have room, also where they have more than 32 MiB', async () => {
  const bodyLimitBytes = 17 * 1_048_576;
  const large = await startService({ config: { bodyLimitBytes } });
  try {
    const text = JSON.stringify(notification({ case_id: 'large' })).padEnd(bodyLimitBytes - 65_536);
    const compressed = gzipSync(text, { level: 0 }); // as large as it is after decompression
    expect((await large.post(compressed, { 'content-encoding': 'gzip' })).status).toBe(200);
  } finally {
    await large.stop();
  }
});

test('where 4,000 notifications wait the next one is answered 503, and accepted once one of them has left', async () => {
  const room = service.app.get(AdmissionControl);
  const waiting = Array.from({ length: 4_000 }, () => room.tryAcquire());
  expect(await metric('airudder_door_waiting_notifications')).toBe(4_000);
  expect(await metric('airudder_door_accepting')).toBe(0);
  expect((await service.get('/v1/cases')).body['ingestion']).toMatchObject({ degraded: true });
  const refused = await service.post(notification({ case_id: 'one too many' }));
  expect(refused.body).toMatchObject({ status: 503, code: 'service_unavailable' });
  expect(refused.headers.get('retry-after')).toBe('5');
  waiting.pop()?.release();
  expect((await service.post(notification({ case_id: 'one too many' }))).status).toBe(200);
  expect((await service.get('/v1/cases?case_id=one%20too%20many')).body['data'][0].notification_count).toBe(1);
  for (const place of waiting) place?.release();
});

test('a small body that unpacks to more than the room left is answered 503, and accepted once there is room', async () => {
  const packed = gzipSync(JSON.stringify(notification({ case_id: 'packed', padding: 'x'.repeat(100_000) })));
  const post = async (): Promise<number> => (await service.post(packed, { 'content-encoding': 'gzip' })).status;
  const place = service.app.get(AdmissionControl).tryAcquire();
  expect(place?.reserve(32 * 1_048_576 - 50_000)).toBe(true);
  expect(await post()).toBe(503);
  place?.release();
  expect(await post()).toBe(200);
});

/** A client that keeps the last byte of its body to itself. */
async function sendAllButTheEnd(length: number): Promise<Socket> {
  const { port, hostname } = new URL(service.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  socket.write(`POST ${webhookPath()} HTTP/1.1\r\nHost: door\r\nContent-Length: ${length}\r\n\r\n`);
  await new Promise((resolve) => socket.write(Buffer.alloc(length - 1, ' '), resolve));
  return socket;
}

test('after a body that is too large the connection serves the next notification', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const sockets = new Set<unknown>();
  const post = async (body: Buffer): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
      const sent = request(`${service.url}${webhookPath()}`, { agent, method: 'POST', headers }, (answer) => {
        answer.resume().once('end', () => resolve(answer.statusCode));
      });
      sent.once('socket', (socket) => sockets.add(socket)).once('error', reject);
      sent.end(body);
    });
  expect(await post(Buffer.alloc(8 * 1_048_576, ' '))).toBe(413);
  expect(await post(Buffer.from(JSON.stringify(notification({ case_id: 'after one too large' }))))).toBe(200);
  expect(sockets.size).toBe(1);
  agent.destroy();
});
