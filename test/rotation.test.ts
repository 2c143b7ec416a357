import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, open, readFile, realpath, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from './support/database.js';
import { type ServiceProcess, spawnService } from './support/process.js';
import { type Answer, notification, send, webhookPath } from './support/service.js';

/** Longer than the service takes to look again. */
const LOOKED_MS = 5_000;
const WITHIN = { timeout: 10_000, interval: 50 };

let directory: string;
let database: TestDatabase;
let service: ServiceProcess;
let url: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'airudder-rotation-'));
  database = await createDatabase();
  await mount('one', { tokens: 'first-token\nkept-token\n', keys: 'team:read:first-key\nother:read:other-key' });
  await symlink('one', path.join(directory, '..data'));
  await symlink('..data/tokens', path.join(directory, 'tokens'));
  await symlink('..data/keys', path.join(directory, 'keys'));
  await writeFile(path.join(directory, 'database-url'), `${database.url}\n`);
  service = spawnService(
    {
      DATABASE_URL_FILE: path.join(directory, 'database-url'),
      WEBHOOK_TOKENS_FILE: path.join(directory, 'tokens'),
      API_KEYS_FILE: path.join(directory, 'keys'),
      RATE_LIMIT_FAILURES: '0',
    },
    directory,
  );
  url = await service.ready();
});
afterAll(async () => {
  service.kill('SIGTERM');
  await service.exitCode();
  await database.drop();
  await rm(directory, { recursive: true });
});

describe('secrets that come from files', () => {
  test('open the doors from the start', async () => {
    expect([await post('first-token'), await post('kept-token')]).toEqual([200, 200]);
    expect([await ask('first-key'), await ask('other-key')]).toEqual([200, 200]);
    expect([await post('second-token'), await ask('second-key')]).toEqual([404, 401]);
  });

  test('change without a restart when the folder behind them is replaced, and streams of a key that is withdrawn end', async () => {
    const withdrawn = await follow('first-key');
    const kept = await follow('other-key');
    await mount('two', { tokens: 'kept-token,second-token', keys: 'team:read:second-key\r\nother:read:other-key\r\n' });
    await swap('two');
    await expect.poll(async () => [await post('second-token'), await ask('second-key')], WITHIN).toEqual([200, 200]);
    expect([await post('first-token'), await post('kept-token')]).toEqual([404, 200]);
    expect([await ask('first-key'), await ask('other-key')]).toEqual([401, 200]);
    expect(await post('kept-token', 'after-the-change')).toBe(200);
    await expect
      .poll(() => [withdrawn.hasEnded(), kept.seen().includes('after-the-change')], WITHIN)
      .toEqual([true, true]);
    expect(withdrawn.seen()).not.toMatch('after-the-change');
    expect(kept.hasEnded()).toBe(false);
    kept.close();
  });

  test('are not taken over while somebody is still writing them', async () => {
    const tokens = await realpath(path.join(directory, 'tokens'));
    const all = await readFile(tokens, 'utf8');
    await replaceByPipe(tokens);
    const first = await open(tokens, 'w'); // opens when the service reads it
    await replaceByPipe(tokens);
    await first.writeFile('kept-tok');
    await first.close();
    const second = await open(tokens, 'w'); // opens at the next look, after the half text was dealt with
    try {
      expect([await post('kept-tok'), await post('kept-token')]).toEqual([404, 200]);
    } finally {
      await unlink(tokens);
      await writeFile(tokens, all);
      await second.writeFile(all);
      await second.close();
    }
  });

  test('a stream of a key that loses a scope ends', async () => {
    const keys = path.join(directory, 'keys');
    const others = await readFile(keys, 'utf8');
    expect(await post('kept-token')).toBe(200);
    const seesNumbers = async (): Promise<boolean> =>
      (await get('wide-key', '/v1/cases?limit=1')).text.includes(notification().callee_number);
    await writeFile(keys, `${others}\nwide:read+reveal:wide-key`);
    await expect.poll(seesNumbers, WITHIN).toBe(true);
    const stream = await follow('wide-key');
    await writeFile(keys, `${others}\nwide:read:wide-key`);
    await expect.poll(seesNumbers, WITHIN).toBe(false);
    expect(await post('kept-token', 'after-the-loss')).toBe(200);
    await expect.poll(() => stream.hasEnded(), WITHIN).toBe(true);
    expect(stream.seen()).not.toMatch('after-the-loss');
  });

  test('stay what they were while a file is malformed or gone, which is said once, without what is in it', async () => {
    const before = service.output().length;
    await writeFile(path.join(directory, 'two', 'keys'), 'team:read:third-key\nteam:write:s3cr3t');
    await unlink(path.join(directory, 'two', 'tokens'));
    await sleep(LOOKED_MS);
    expect([await post('second-token'), await ask('second-key'), await ask('third-key')]).toEqual([200, 200, 401]);
    const lines = service
      .output()
      .slice(before)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    const message = 'secrets reload failed, keeping the previous ones';
    expect(lines).toEqual([
      expect.objectContaining({
        level: 'error',
        message,
        setting: 'WEBHOOK_TOKENS_FILE',
        trouble: expect.stringContaining('ENOENT'),
      }),
      expect.objectContaining({
        level: 'error',
        message,
        setting: 'API_KEYS_FILE',
        trouble: expect.stringContaining('entry 2'),
      }),
    ]);
    expect(service.output()).not.toMatch(/third-key|s3cr3t/);
    await writeFile(path.join(directory, 'two', 'keys'), 'team:read:third-key');
    await expect.poll(async () => ask('third-key'), WITHIN).toBe(200);
    expect(await ask('second-key')).toBe(401);
    const { text } = await send(`${url}/metrics`);
    expect(text).toMatch('airudder_secrets_reloads_total{outcome="changed"} 5\n');
    expect(text).toMatch('airudder_secrets_reloads_total{outcome="failed"} 2\n');
  });
});

/** As Kubernetes has it: files in a folder that a link leads to, and a new folder for each change. */
async function mount(folder: string, files: Record<string, string>): Promise<void> {
  await mkdir(path.join(directory, folder));
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(directory, folder, name), text);
}

async function swap(folder: string): Promise<void> {
  await symlink(folder, path.join(directory, '..data_new'));
  await rename(path.join(directory, '..data_new'), path.join(directory, '..data'));
}

/** Who reads a pipe waits until somebody writes to it, and the other way round. */
async function replaceByPipe(file: string): Promise<void> {
  await promisify(execFile)('mkfifo', [`${file}.pipe`]);
  await rename(`${file}.pipe`, file);
}

async function post(token: string, case_id = 'x'): Promise<number> {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify(notification({ case_id }));
  return (await send(`${url}${webhookPath(token)}`, { method: 'POST', headers, body })).status;
}

async function ask(key: string): Promise<number> {
  return (await get(key, '/v1/workflows')).status;
}

async function get(key: string, address: string): Promise<Answer> {
  return send(`${url}${address}`, { headers: { authorization: `Bearer ${key}` } });
}

async function follow(key: string): Promise<{ seen(): string; hasEnded(): boolean; close(): void }> {
  const closing = new AbortController();
  const headers = { authorization: `Bearer ${key}` };
  const response = await fetch(`${url}/v1/completions/stream?from=now`, { headers, signal: closing.signal });
  let seen = '';
  let hasEnded = false;
  const decoder = new TextDecoder();
  const read = async (): Promise<void> => {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) seen += decoder.decode(chunk);
    hasEnded = true;
  };
  read().catch(() => undefined);
  return { seen: () => seen, hasEnded: () => hasEnded, close: () => closing.abort() };
}
