import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { audit } from './support/audit.js';
import { LOAD_MS, POLL, ROUNDS, TEST_TIMEOUT_MS } from './support/chaos.js';
import { openRaw } from './support/raw.js';
import { type Answer, send, webhookPath } from './support/service.js';
import { awaitDrained, type Booted, killHard, metric, readiness, FaultHarness } from './support/stage.js';
import { contested, type Traffic } from './support/traffic.js';

/** The service's own processes end in every way, and its clients too. */
vi.setConfig({ testTimeout: TEST_TIMEOUT_MS });

let stage: FaultHarness;
beforeAll(async () => {
  stage = await FaultHarness.create();
});
afterEach(async () => stage.clear());
afterAll(async () => stage.strike());

test('killed under load again and again, it has everything that it acknowledged, once', async () => {
  const database = await stage.postgres.createDatabase();
  const folder = await stage.folder();
  let service = await stage.startService(database, folder);
  const traffic = stage.traffic([service.url]).start();
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = traffic.acknowledged;
    await sleep(LOAD_MS / ROUNDS);
    await expect.poll(() => traffic.acknowledged, POLL).toBeGreaterThan(before);
    await killHard(service);
    service = await stage.startService(database, folder);
    traffic.aim(service.url);
  }
  await traffic.stop();
  await awaitDrained(service.url);
  expect(await audit('service killed under load', database, traffic, { kills: ROUNDS })).toEqual([]);
});

test('replicas that fight over the same cases make one truth of them, also when one of them is killed', async () => {
  const database = await stage.postgres.createDatabase();
  const folders = [await stage.folder(), await stage.folder()];
  const replicas = await Promise.all(folders.map(async (folder) => stage.startService(database, folder)));
  expect(await fight('two replicas', database, replicas, folders)).toEqual([]);
});

test('three replicas may share a folder, and one that is killed during an outage leaves nothing behind in it', async () => {
  const database = await stage.postgres.createDatabase();
  const folder = await stage.folder();
  const folders = [folder, folder, folder];
  const replicas = await Promise.all(folders.map(async () => stage.startService(database, folder)));
  const outage = async (): Promise<void> => {
    await stage.postgres.kill();
    await sleep(LOAD_MS / 2);
    expect(await metric(replicas[1]?.url ?? '', 'airudder_spool_notifications')).toBeGreaterThan(0);
  };
  expect(await fight('three replicas, one folder', database, replicas, folders, outage)).toEqual([]);
});

/** Lets replicas fight, kills the first of them after `prelude`, and starts it again when the fight is over. */
async function fight(
  scene: string,
  database: string,
  [victim, ...others]: Booted[],
  [folder]: string[],
  prelude?: () => Promise<void>,
): Promise<string[]> {
  const urls = others.map(({ url }) => url);
  const traffic = stage.traffic([victim?.url ?? '', ...urls], contested).start(24);
  await sleep(LOAD_MS / 2);
  await prelude?.();
  await killHard(victim as Booted);
  await sleep(LOAD_MS / 4);
  traffic.aim(...urls);
  await stage.postgres.start();
  await sleep(LOAD_MS / 4);
  await traffic.stop();
  const again = await stage.startService(database, folder as string);
  await awaitDrained(again.url, ...urls);
  return audit(scene, database, traffic);
}

test('clients that hang up, whole or in the middle, take nobody else with them, and only whole bodies are kept', async () => {
  const database = await stage.postgres.createDatabase();
  const service = await stage.startService(database, await stage.folder());
  const traffic = stage.traffic([service.url]).start(8);
  const until = performance.now() + LOAD_MS;
  let hangUps = 0;
  while (performance.now() < until) {
    await Promise.all(HANG_UPS.map(async (hangUp) => hangUp(Number(new URL(service.url).port), traffic)));
    hangUps += HANG_UPS.length;
  }
  await traffic.stop();
  expect(traffic.unanswered).toEqual([]);
  expect(traffic.refused).toBe(0);
  await expect.poll(async () => metric(service.url, 'airudder_door_waiting_notifications'), POLL).toBe(0);
  expect(await metric(service.url, 'airudder_door_waiting_bytes')).toBe(0);
  expect(await audit('clients hang up', database, traffic, { hangUps })).toEqual([]);
});

/** White space of which only a part is sent: what is cut off there looks like a whole notification, and is none. */
const PADDING = ' '.repeat(2_000);
const HEAD = `POST ${webhookPath()} HTTP/1.1\r\nHost: a\r\n`;

const HANG_UPS: ((port: number, traffic: Traffic) => Promise<void>)[] = [
  // The whole request, and gone: it may be kept or not.
  async (port, traffic) => {
    const { body } = traffic.note();
    await writeAndHangUp(port, `${HEAD}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  },
  // In the middle of a body whose length was told.
  async (port) => {
    const body = JSON.stringify({ ...contested(0), case_id: 'cut short' }) + PADDING;
    await writeAndHangUp(port, `${HEAD}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body.slice(0, -1_000)}`);
  },
  // Before the last chunk of a body whose length was not.
  async (port) => {
    const body = JSON.stringify({ ...contested(0), case_id: 'never ended' });
    const chunk = `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`;
    await writeAndHangUp(port, `${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk}`);
  },
  async (port) => writeAndHangUp(port, HEAD),
];

async function writeAndHangUp(port: number, text: string): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  await new Promise((resolve) => socket.write(text, resolve));
  await sleep(Math.random() * 4); // sometimes before it is read, sometimes while it is written
  socket.destroy();
}

test('told to end under load it answers what is under way, refuses what is new, and has what it acknowledged', async () => {
  const database = await stage.postgres.createDatabase();
  const folder = await stage.folder();
  const service = await stage.startService(database, folder);
  const traffic = stage.traffic([service.url]).start();
  await sleep(LOAD_MS / 2);
  let goOn = (): void => undefined;
  const underWay = traffic.post(new Promise<void>((resolve) => (goOn = resolve)));
  await sleep(100);
  service.process.kill('SIGTERM');
  await expect.poll(async () => (await postAnew(service)).status, POLL).toBe(503);
  const refused = await postAnew(service);
  expect(refused.headers.get('connection')).toBe('close');
  expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
  goOn();
  expect((await underWay)?.status).toBe(200);
  expect(await service.process.exitCode()).toBe(0);
  await traffic.stop();

  const again = await stage.startService(database, folder);
  await awaitDrained(again.url);
  expect(await audit('told to end under load', database, traffic)).toEqual([]);
});

test('told to end while a body never ends it ends in time, and logs that it has not acknowledged it', async () => {
  const service = await stage.startService(await stage.postgres.createDatabase(), await stage.folder());
  const client = await openRaw(service.url, `${HEAD}Content-Length: 500\r\n\r\n{"case_id":`);
  await expect.poll(async () => metric(service.url, 'airudder_door_waiting_notifications'), POLL).toBe(1);
  service.process.kill('SIGTERM');
  expect(await service.process.exitCode(), service.process.output()).toBe(0);
  await client.closed;
  expect(client.received()).toBe('');
  expect(service.process.output()).toMatch(
    /"level":"error".*"message":"shutdown dropped unacknowledged notifications".*"notifications":1\b/,
  );
});

/** On a connection of its own, and nothing that anybody would keep. */
async function postAnew({ url }: Booted): Promise<Answer> {
  return send(`${url}${webhookPath('wrong-token')}`, { method: 'POST', headers: { connection: 'close' } });
}

test.each([
  ['has just begun to hang', 200],
  ['has been hanging for a while', 1_500],
])('told to end while PostgreSQL %s it answers what is under way, and ends in time', async (sort, hangingMs) => {
  const database = await stage.postgres.createDatabase();
  const folder = await stage.folder();
  const service = await stage.startService(database, folder);
  const traffic = stage.traffic([service.url]).start();
  await sleep(LOAD_MS / 2);
  await Promise.all(Array.from({ length: 4 }, async () => readiness(service.url))); // on connections that are idle then
  await stage.postgres.pause();
  await sleep(hangingMs);
  const toldAt = performance.now();
  service.process.kill('SIGTERM');
  expect(await service.process.exitCode(), service.process.output()).toBe(0);
  const seconds = Math.round(performance.now() - toldAt) / 1000;
  await traffic.stop();
  // Those of the last moments before may not have been read from their connection yet.
  expect(traffic.unanswered.filter(({ atMs }) => atMs < toldAt - 50)).toEqual([]);

  stage.postgres.resume();
  const again = await stage.startService(database, folder);
  await awaitDrained(again.url);
  expect(await audit(`told to end when PostgreSQL ${sort}`, database, traffic, { seconds })).toEqual([]);
});

test('told to end it answers who waits at once with what is so, and ends the streams', async () => {
  const service = await stage.startService(await stage.postgres.createDatabase(), await stage.folder());
  const headers = { authorization: 'Bearer key', prefer: 'wait=60', 'content-type': 'application/json' };
  const body = '{"cases":[{"case_id":"nobody"}]}';
  const lookup = send(`${service.url}/v1/cases/lookup`, { method: 'POST', headers, body });
  const feed = send(`${service.url}/v1/completions`, { headers });
  const stream = send(`${service.url}/v1/completions/stream`, { headers });
  await expect.poll(async () => metric(service.url, 'airudder_watching_requests'), POLL).toBe(3);
  const toldAt = performance.now();
  service.process.kill('SIGTERM');
  expect(await lookup).toMatchObject({ status: 200, body: { data: [{ status: 'not_seen' }] } });
  expect(await feed).toMatchObject({ status: 200, body: { data: [], caught_up: true } });
  expect((await stream).text).toMatch(/^retry: 2000\n(:\nid: [\w-]+\n\n)+$/);
  expect(await service.process.exitCode()).toBe(0);
  expect(performance.now() - toldAt).toBeLessThan(10_000);
});
