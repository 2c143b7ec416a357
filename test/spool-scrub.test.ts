import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { commit, openSpoolFile } from '../src/ingest/spool/lmdb-environment.js';
import { encodeKey, encodeValue } from '../src/ingest/spool/spool-record.js';
import { SpoolError, type Spool } from '../src/ingest/spool/spool.js';
import { ROUNDS, TEST_TIMEOUT_MS } from './support/chaos.js';
import { fillUp, mountSmallDisk, unmount } from './support/disk.js';
import { all, isIn, openSpool, recordOf, recordsOf } from './support/spool.js';

/** What was removed from the spool is not left in its files. */
vi.setConfig({ testTimeout: TEST_TIMEOUT_MS });

const GONE = '+6281200001111';
const KEPT = '+6281299998888';
const POLL = { timeout: 20_000, interval: 50 };

let dataDir: string;
let spools: Spool[] = [];
const children: ChildProcess[] = [];
let disk: string | undefined;

beforeEach(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'airudder-scrub-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const spool of spools.splice(0)) await spool.close();
  if (disk !== undefined) await unmount(disk);
  disk = undefined;
  await rm(dataDir, { recursive: true });
});

async function open(maxBytes?: number): Promise<Spool> {
  const spool = await openSpool(dataDir, maxBytes);
  spools.push(spool);
  return spool;
}

async function close(spool: Spool): Promise<void> {
  spools = spools.filter((each) => each !== spool);
  await spool.close();
}

/** As the drainer does, in batches; only those of a number if one is given. */
async function removeAll(spool: Spool, number = ''): Promise<void> {
  const keys = [...all(spool)].filter(({ record }) => record.body.includes(number)).map(({ key }) => key);
  while (keys.length > 0) await spool.remove(keys.splice(0, 50));
}

async function awaitGone(...looking: Spool[]): Promise<void> {
  const look = async (): Promise<boolean> => {
    for (const spool of looking) await spool.compactIfIdle();
    return isIn(dataDir, GONE);
  };
  await expect.poll(look, POLL).toBe(false);
}

const idsIn = (spool: Spool): string[] => [...all(spool)].map(({ record }) => record.receipt.id);
const volumes = async (): Promise<string[]> => readdir(path.join(dataDir, 'spool'));

test('what was drained is soon in no file of the spool, whatever its size and however often pages were used again', async () => {
  const spool = await open();
  for (let round = 0; round < 3; round += 1) {
    for (let n = 0; n < 5; n += 1) {
      await spool.append(recordsOf(GONE, 60));
      expect(await isIn(dataDir, GONE)).toBe(true);
      if (n % 2 === 0) await removeAll(spool);
    }
    await removeAll(spool);
    await awaitGone(spool);
    expect(spool.report).toMatchObject({ condition: 'ok', notifications: 0 });
    expect(await volumes()).toHaveLength(1);
  }
});

test('what was erased is in no file once it is scrubbed, and the records beside it are all there as they were', async () => {
  const spool = await open();
  const kept = recordsOf(KEPT, 240);
  for (let n = 0; n < kept.length; n += 10) {
    await spool.append(kept.slice(n, n + 10).flatMap((each) => [each, recordOf(GONE, each.body.length)]));
  }
  await removeAll(spool, GONE);
  expect(await isIn(dataDir, GONE)).toBe(true);
  await spool.compactAll();
  expect(await isIn(dataDir, GONE)).toBe(false);
  const inOrder = kept.toSorted((a, b) => encodeKey(a.receipt).compare(encodeKey(b.receipt)));
  expect([...all(spool)].map(({ record }) => crc32(encodeValue(record)))).toEqual(
    inOrder.map((record) => crc32(encodeValue(record))),
  );
  expect(spool.report.notifications).toBe(240);
});

test('a few that PostgreSQL does not take do not keep the bytes of those that it took', async () => {
  const spool = await open();
  const held = recordOf(KEPT, 300);
  await spool.append([...recordsOf(GONE, 60), held]);
  await removeAll(spool, GONE);
  await awaitGone(spool);
  expect(idsIn(spool)).toEqual([held.receipt.id]);
});

test('what is left to be removed when a process ends is done by its end, or by the next start', async () => {
  const first = await open();
  await first.append(recordsOf(GONE, 60));
  await removeAll(first);
  await close(first);
  expect(await isIn(dataDir, GONE)).toBe(false);

  const child = program(`
    await spool.append(records('${GONE}', 60));
    await removeAll();
    console.log('done');
    await new Promise(() => setInterval(() => {}, 1000));`);
  await once(createInterface(child.stdout), 'line');
  await kill(child);
  expect(await isIn(dataDir, GONE)).toBe(true);
  await awaitGone(await open());
});

test('killed at any moment of a scrub it has every record, and the next start ends the scrub', async () => {
  const spool = await open();
  const kept = recordsOf(KEPT, 60);
  await spool.append(kept);
  await close(spool);
  for (let n = 0; n < ROUNDS * 2; n += 1) {
    const child = program(`
      console.log('begun');
      for (;;) {
        await spool.append(records('${GONE}', 6));
        await removeAll('${GONE}');
        await spool.compactAll();
      }`);
    await once(createInterface(child.stdout), 'line');
    await sleep(10 + 30 * Math.random() * n);
    await kill(child);
    const next = await open();
    expect(idsIn(next)).toEqual(expect.arrayContaining(kept.map(({ receipt }) => receipt.id)));
    await removeAll(next, GONE);
    await awaitGone(next);
    await close(next);
  }
});

test('what comes while it scrubs is kept', async () => {
  const spool = await open();
  const kept: string[] = [];
  const enough = 100 * ROUNDS;
  const scrubbing = (async () => {
    while (kept.length < enough) {
      await removeAll(spool, GONE);
      await spool.compactAll();
    }
  })();
  const appending = Array.from({ length: 4 }, async () => {
    while (kept.length < enough) {
      const record = recordOf(KEPT, 300);
      await spool.append([record, recordOf(GONE, 300)]);
      kept.push(record.receipt.id);
    }
  });
  await Promise.all([scrubbing, ...appending]);
  await removeAll(spool, GONE);
  await spool.compactAll();
  expect(idsIn(spool).toSorted()).toEqual(kept.toSorted());
  expect(await isIn(dataDir, GONE)).toBe(false);
});

test('processes that share it close and delete what others add to, and nothing that any of them accepted is lost', async () => {
  const accepted: string[] = [];
  const senders = [1, 2].map(() => {
    const child = program(`
      for (;;) {
        const [record] = records('${GONE}', 1);
        await spool.append([record]);
        console.log(record.receipt.id);
        if (Math.random() < 0.1) await spool.compactIfIdle();
      }`);
    createInterface(child.stdout).on('line', (id) => accepted.push(id));
    return child;
  });
  const seen = new Set<string>();
  const drain = async (): Promise<void> => {
    const spool = await open(); // a start closes what all others add to
    for (const id of idsIn(spool)) seen.add(id);
    await removeAll(spool);
    await spool.compactAll();
    await close(spool);
  };
  while (accepted.length < 200 * ROUNDS) await drain();
  await Promise.all(senders.map(kill));
  await drain();
  expect(accepted.filter((id) => !seen.has(id))).toEqual([]);
  expect(await isIn(dataDir, GONE)).toBe(false);
});

test('what a process left that shared it and was killed is taken over by one that goes on', async () => {
  const spool = await open();
  const child = program(`
    const [record] = records('${GONE}', 1);
    await spool.append([record]);
    console.log(record.receipt.id);
    await new Promise(() => setInterval(() => {}, 1000));`);
  const [id] = (await once(createInterface(child.stdout), 'line')) as [string];
  await kill(child);
  await expect.poll(async () => spool.compactIfIdle().then(() => idsIn(spool)), POLL).toEqual([id]);
  await removeAll(spool);
  await awaitGone(spool);
});

test('SPOOL_MAX_BYTES holds through scrubs, and what they carry over counts once', async () => {
  const maxBytes = 2 * 1024 * 1024;
  const spool = await open(maxBytes);
  const fill = async (): Promise<number> => {
    for (let n = 0; ; n += 1) {
      const isFull = await spool.append([recordOf(KEPT, 3_000)]).then(
        () => false,
        () => true,
      );
      if (isFull) return n;
    }
  };
  const most = await fill();
  const before = spool.report;
  expect(before.bytes).toBeLessThanOrEqual(maxBytes);
  await spool.compactAll();
  expect(spool.report.notifications).toBe(before.notifications);
  expect(spool.report.bytes).toBeLessThanOrEqual(before.bytes + 16 * 4_096);
  await removeAll(spool);
  await spool.compactAll();
  expect(spool.report).toMatchObject({ notifications: 0, bytes: 0 });
  expect(await fill()).toBe(most);
});

test('a disk without room for a scrub harms nothing, and once there is room it is done', async (context) => {
  const folder = path.join(dataDir, 'disk');
  await mountSmallDisk(context, folder, 8_192);
  disk = folder;
  const spool = await openSpool(folder);
  spools.push(spool);
  const kept = recordsOf(KEPT, 60);
  await spool.append([...kept, ...recordsOf(GONE, 12)]);
  await fillUp(folder);
  await removeAll(spool, GONE);
  await expect(spool.compactAll()).rejects.toThrow(SpoolError);
  await spool.compactIfIdle();
  expect(new Set(idsIn(spool))).toEqual(new Set(kept.map(({ receipt }) => receipt.id)));

  for (const name of await readdir(folder)) if (name.startsWith('filler')) await rm(path.join(folder, name));
  await expect.poll(async () => spool.compactAll().then(() => isIn(folder, GONE)), POLL).toBe(false);
  expect(new Set(idsIn(spool))).toEqual(new Set(kept.map(({ receipt }) => receipt.id)));
  await spool.append([recordOf(KEPT, 300)]);
});

test('a spool as it was made before is taken over as it is, and deleted when it is empty', async () => {
  const folder = path.join(dataDir, 'spool');
  await mkdir(folder);
  const file = openSpoolFile(folder);
  const records = recordsOf(GONE, 12);
  await commit(file, () => records.map(async (record) => file.put(encodeKey(record.receipt), encodeValue(record))));
  await file.close();
  const spool = await open();
  expect(idsIn(spool).toSorted()).toEqual(records.map(({ receipt }) => receipt.id).toSorted());
  await removeAll(spool);
  await awaitGone(spool);
  expect(await volumes()).toHaveLength(1);
});

/** A process of its own with a spool in the same folder. */
function program(text: string): ChildProcessByStdio<null, Readable, null> {
  const from = (file: string): string =>
    JSON.stringify(new URL(`../dist/src/ingest/spool/${file}`, import.meta.url).href);
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import 'reflect-metadata';
      import { randomUUID } from 'node:crypto';
      const { Spool } = await import(${from('spool.js')});
      const spool = new Spool({ dataDir: ${JSON.stringify(dataDir)}, spoolMaxBytes: 2 ** 30 });
      await spool.open();
      const sizes = [300, 9_000, 70_000];
      const records = (number, count) => Array.from({ length: count }, (_, n) => ({
        receipt: { id: randomUUID(), receivedAt: new Date(), kind: 'workflow-list-completion' },
        body: Buffer.from(number.repeat(sizes[n % 3] / number.length)),
      }));
      const removeAll = async (number = '') => {
        const found = spool.oldest({ count: 1000, bytes: 2 ** 24 });
        await spool.remove(found.filter(({ record }) => record.body.includes(number)).map(({ key }) => key));
      };
      ${text}`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], cwd: process.cwd() },
  );
  children.push(child);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
