import { cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { audit } from './support/audit.js';
import { LOAD_MS, POLL, TEST_TIMEOUT_MS } from './support/chaos.js';
import { fillUp, freeze, makeDiskImage, mountDiskImage, mountSmallDisk, thaw, unmount } from './support/disk.js';
import { awaitDrained, type Booted, killHard, metric, readiness, FaultHarness } from './support/stage.js';
import { ofItsOwn, type Traffic } from './support/traffic.js';

/** The spool's disk is full, out of reach or damaged, while PostgreSQL is away too. */
vi.setConfig({ testTimeout: TEST_TIMEOUT_MS });

let stage: FaultHarness;
beforeAll(async () => {
  stage = await FaultHarness.create();
});
afterEach(async () => stage.clear());
afterAll(async () => stage.strike());

test('on a full disk it refuses with 503 and says so, and accepts again when PostgreSQL is back', async (context) => {
  const folder = await stage.folder();
  await mountSmallDisk(context, folder, 4_096);
  stage.onCleanup(async () => unmount(folder));
  const database = await stage.postgres.createDatabase();
  const service = await stage.startService(database, folder);
  const traffic = stage.traffic([service.url]).start();
  await outlastFullSpool(service, traffic);
  expect(await audit('disk full', database, traffic)).toEqual([]);
});

test('with SPOOL_MAX_BYTES reached it refuses with 503 and says so, and accepts again when PostgreSQL is back', async () => {
  const database = await stage.postgres.createDatabase();
  const service = await stage.startService(database, await stage.folder(), { SPOOL_MAX_BYTES: '200000' });
  const traffic = stage.traffic([service.url]).start();
  await outlastFullSpool(service, traffic);
  expect(await audit('SPOOL_MAX_BYTES reached', database, traffic)).toEqual([]);
});

/** Takes PostgreSQL away until the spool is full, looks at what is said of that, and brings PostgreSQL back. */
async function outlastFullSpool(service: Booted, traffic: Traffic): Promise<void> {
  await expect.poll(() => traffic.acknowledged, POLL).toBeGreaterThan(0);
  await stage.postgres.kill();
  const before = traffic.acknowledged;
  await expect.poll(() => traffic.refused, POLL).toBeGreaterThan(50);
  expect(traffic.acknowledged).toBeGreaterThan(before);
  await traffic.stop(); // while it lasts, a small batch may still find room where a large one does not
  await expect.poll(async () => (await traffic.post())?.status, { ...POLL, interval: 1 }).toBe(503);
  const ready = await readiness(service.url);
  expect([ready.status, ready.body]).toEqual([
    503,
    { status: 'not_ready', postgres: 'down', spool: 'full', spooled: expect.any(Number), quarantine: 'unknown' },
  ]);
  expect(ready.body['spooled']).toBeGreaterThan(0);
  expect(await metric(service.url, 'airudder_door_accepting')).toBe(0);
  expect(await metric(service.url, 'airudder_spool_usable')).toBe(0);
  expect(await metric(service.url, 'airudder_spool_notifications')).toBe(ready.body['spooled']);
  expect(service.process.output()).toMatch('"message":"the spool is full"');

  traffic.start();
  await stage.postgres.start();
  await awaitDrained(service.url);
  const drainedAt = traffic.acknowledged;
  await expect.poll(() => traffic.acknowledged, POLL).toBeGreaterThan(drainedAt);
  await traffic.stop();
  await awaitDrained(service.url);
  expect(await metric(service.url, 'airudder_door_accepting')).toBe(1);
  expect(await metric(service.url, 'airudder_spool_usable')).toBe(1);
}

for (const wasUsed of [true, false]) {
  const sort = wasUsed ? 'where its spool is' : 'where it has no spool yet';
  test(`a full disk ${sort} neither stops its start nor its door, as long as PostgreSQL is there`, async (context) => {
    const folder = await stage.folder();
    await mountSmallDisk(context, folder, 2_048);
    stage.onCleanup(async () => unmount(folder));
    const database = await stage.postgres.createDatabase();
    if (wasUsed) await killHard(await stage.startService(database, folder));
    await fillUp(folder);
    const service = await stage.startService(database, folder);
    const traffic = stage.traffic([service.url]);
    await traffic.run(LOAD_MS / 4);
    expect([traffic.refused, traffic.unanswered]).toEqual([0, []]);
    expect((await readiness(service.url)).body).toMatchObject({ status: 'ready', postgres: 'up' });

    await stage.postgres.kill();
    await expect.poll(async () => (await traffic.post())?.status, POLL).toBe(503);
    expect((await readiness(service.url)).status).toBe(503);
    await stage.postgres.start();
    await expect.poll(async () => (await traffic.post())?.status, POLL).toBe(200);
    expect(await audit(`disk full ${sort}`, database, traffic)).toEqual([]);
  });
}

test('a folder where no spool can be made neither stops the start nor the door, as long as PostgreSQL is there', async () => {
  const database = await stage.postgres.createDatabase();
  const folder = await stage.folder();
  await writeFile(path.join(folder, 'spool'), 'a file in its place');
  const service = await stage.startService(database, folder);
  const traffic = stage.traffic([service.url]);
  await traffic.run(LOAD_MS / 4);
  expect([traffic.refused, traffic.unanswered]).toEqual([0, []]);
  expect((await readiness(service.url)).body).toMatchObject({ status: 'ready', postgres: 'up', spool: 'unwritable' });
  expect(service.process.output()).toMatch('"message":"spool unavailable"');

  await stage.postgres.kill();
  await expect.poll(async () => (await traffic.post())?.status, POLL).toBe(503);
  const ready = await readiness(service.url);
  expect([ready.status, ready.body]).toMatchObject([503, { postgres: 'down', spool: 'unwritable' }]);
  expect(await metric(service.url, 'airudder_door_accepting')).toBe(0);
  await stage.postgres.start();
  await expect.poll(async () => (await traffic.post())?.status, POLL).toBe(200);
  expect(await audit('no spool', database, traffic)).toEqual([]);
});

test('a folder that is mended while PostgreSQL is away takes the spool, without a restart', async () => {
  const database = await stage.postgres.createDatabase();
  const folder = await stage.folder();
  const inItsPlace = path.join(folder, 'spool');
  await writeFile(inItsPlace, 'a file in its place');
  const service = await stage.startService(database, folder);
  const traffic = stage.traffic([service.url]);
  await stage.postgres.kill();
  await expect.poll(async () => (await traffic.post())?.status, POLL).toBe(503);
  await rm(inItsPlace);
  await expect.poll(async () => (await traffic.post())?.status, POLL).toBe(200);
  expect((await readiness(service.url)).body).toMatchObject({ status: 'ready', postgres: 'down', spool: 'holding' });
  await stage.postgres.start();
  await awaitDrained(service.url);
  expect(await audit('spool mended', database, traffic)).toEqual([]);
});

test('what the spool has acknowledged survives a power cut at the next moment', async (context) => {
  const folder = await stage.folder();
  const platter = `${folder}-platter`;
  await makeDiskImage(context, `${platter}.image`, 128);
  await mountDiskImage(context, platter, `${platter}.image`);
  stage.onCleanup(async () => unmount(platter));
  const image = path.join(platter, 'disk.image');
  await makeDiskImage(context, image, 64);
  await mountDiskImage(context, folder, image);
  stage.onCleanup(async () => unmount(folder));
  const database = await stage.postgres.createDatabase();
  await stage.postgres.kill();
  const service = await stage.startService(database, folder);
  const traffic = stage.traffic([service.url]).start();
  await expect.poll(() => traffic.acknowledged, POLL).toBeGreaterThan(100);

  const copy = `${folder}-copy.image`;
  await freeze(context, platter);
  try {
    // From here on the disk keeps nothing: an answer that does not wait for it acknowledges what is not in the copy.
    await expect.poll(() => traffic.refused, POLL).toBeGreaterThan(0);
    await cp(image, copy);
    service.process.kill('SIGKILL');
  } finally {
    await thaw(platter);
  }
  expect(await service.process.exitCode()).toBeNull();
  await traffic.stop();

  const restored = await stage.folder();
  await mountDiskImage(context, restored, copy);
  stage.onCleanup(async () => unmount(restored));
  await stage.postgres.start();
  const again = await stage.startService(database, restored);
  await awaitDrained(again.url);
  expect(await audit('power cut', database, traffic)).toEqual([]);
});

const MARK = 'to be damaged';

const DAMAGES: [string, (file: string) => Promise<void>][] = [
  ['overwritten with other bytes', async (file) => writeFile(file, randomBytes((await readFile(file)).length))],
  // A page has 4,096 bytes; behind the last notification there may be space for more.
  ['cut off in its middle', async (file) => truncate(file, (await readFile(file)).lastIndexOf(MARK) >> 1)],
  [
    'pages in the middle overwritten with other bytes',
    async (file) => {
      const bytes = await readFile(file);
      const end = bytes.lastIndexOf(MARK);
      const first = Math.max(2, end >> 13); // the first two tell where everything is
      for (let page = first; page <= end >> 12; page += 1) randomBytes(4_096).copy(bytes, page * 4_096);
      await writeFile(file, bytes);
    },
  ],
  [
    'one wrong bit in the body of a notification',
    async (file) => {
      const bytes = await readFile(file);
      // Old copies of the page may lie in the file too.
      for (let at = bytes.indexOf(MARK); at !== -1; at = bytes.indexOf(MARK, at + 1))
        bytes[at] = MARK.charCodeAt(0) ^ 1;
      await writeFile(file, bytes);
    },
  ],
];

test('a damaged spool is set aside as it is, loudly, and neither stops the start nor the door', async () => {
  const database = await stage.postgres.createDatabase();
  await stage.postgres.kill();
  const origin = await stage.folder();
  const before = await stage.startService(database, origin);
  const lost = stage.traffic([before.url], (n) => ({ ...ofItsOwn(n), callee_number: MARK }));
  await lost.run(LOAD_MS / 8);
  expect(lost.acknowledged).toBeGreaterThan(0);
  await killHard(before);

  const services = await Promise.all(DAMAGES.map(async ([sort, damage]) => bootDamaged(sort, damage)));
  const urls = services.map(({ url }) => url);
  const traffic = stage.traffic(urls);
  await traffic.run(LOAD_MS / 4);
  expect([traffic.refused, traffic.unanswered]).toEqual([0, []]);
  await stage.postgres.start();
  await awaitDrained(...urls);
  expect(await audit('spool damaged', database, traffic, { damages: DAMAGES.map(([sort]) => sort) })).toEqual([]);

  async function bootDamaged(sort: string, damage: (file: string) => Promise<void>): Promise<Booted> {
    const folder = await stage.folder();
    await cp(origin, folder, { recursive: true });
    const [volume = ''] = await readdir(path.join(folder, 'spool'));
    const file = path.join(folder, 'spool', volume, 'data.mdb');
    await damage(file);
    const bytes = await readFile(file);
    const service = await stage.startService(database, folder);
    const aside = (await readdir(folder)).find((name) => name.startsWith('spool-damaged-'));
    expect(aside, sort).toBeDefined();
    expect((await readFile(path.join(folder, aside ?? '', 'data.mdb'))).equals(bytes), sort).toBe(true);
    expect(service.process.output()).toMatch(/"level":"error".*"message":"corrupted spool moved aside/);
    return service;
  }
});

test('a check of the spool that somebody ends proves no damage, other than one that crashes', async () => {
  const database = await stage.postgres.createDatabase();
  await stage.postgres.kill();
  const origin = await stage.folder();
  const before = await stage.startService(database, origin);
  const traffic = stage.traffic([before.url]);
  await traffic.run(LOAD_MS / 8);
  await killHard(before);

  const urls = await Promise.all((['SIGTERM', 'SIGKILL'] as const).map(async (signal) => bootWith(signal, [])));
  await bootWith('SIGSEGV', [expect.stringMatching(/^spool-damaged-/)]);
  await stage.postgres.start();
  await awaitDrained(...urls);
  expect(await audit('check ended', database, traffic)).toEqual([]);

  async function bootWith(signal: NodeJS.Signals, aside: unknown[]): Promise<string> {
    const folder = await stage.folder();
    await cp(origin, folder, { recursive: true });
    const ending = path.join(folder, 'ending.mjs');
    await writeFile(
      ending,
      `if (process.argv[1].includes('verify-volume')) for (;;) process.kill(process.pid, '${signal}');`,
    );
    const { url } = await stage.startService(database, folder, {
      NODE_OPTIONS: `--import=${pathToFileURL(ending).href}`,
    });
    expect(
      (await readdir(folder)).filter((name) => name.includes('damaged')),
      signal,
    ).toEqual(aside);
    return url;
  }
});
