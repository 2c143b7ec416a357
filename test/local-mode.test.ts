import { execFile, execFileSync } from 'node:child_process';
import { access, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ServiceProcess, spawnService } from './support/process.js';
import { type Answer, notification, send, webhookPath } from './support/service.js';

let directory: string;
let running: ServiceProcess[];
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'airudder-local-'));
  running = [];
});
afterEach(async () => {
  for (const service of running) service.kill('SIGTERM');
  await Promise.all(running.map(async (service) => service.exitCode()));
  await endOrphan();
  await rm(directory, { recursive: true });
});

function start(settings: Record<string, string> = {}): ServiceProcess {
  const service = spawnService(settings, directory);
  running.push(service);
  return service;
}

const file = (...names: string[]): string => path.join(directory, '.data', ...names);
const secret = async (name: string): Promise<string> => (await readFile(file('secrets', name), 'utf8')).trim();

async function post(url: string, caseId: string): Promise<Answer> {
  return send(`${url}${webhookPath(await secret('webhook-token'))}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(notification({ case_id: caseId })),
  });
}

async function find(url: string, caseId: string): Promise<number> {
  const headers = { authorization: `Bearer ${await secret('api-key')}` };
  return (await send(`${url}/v1/cases?case_id=${caseId}`, { headers })).body['data'].length;
}

async function databasePid(): Promise<number> {
  return Number.parseInt(await readFile(file('postgres', 'postmaster.pid'), 'utf8'), 10);
}

/** A test that kills the service may leave its database behind. */
async function endOrphan(): Promise<void> {
  const pid = await databasePid().catch(() => undefined);
  if (pid === undefined || pid === process.pid || !isAlive(pid)) return;
  process.kill(pid, 'SIGQUIT');
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const hasCurl = ((): boolean => {
  try {
    execFileSync('curl', ['--version']);
    return true;
  } catch {
    return false;
  }
})();

test.skipIf(!hasCurl)(
  'without any setting it starts, and prints where Swagger is, what to paste, and a curl for each side that works',
  async () => {
    const service = start();
    const url = await service.ready();
    await expect.poll(() => service.output()).toMatch('Authorization: Bearer');
    const output = service.output();
    expect(output).toMatch(`Swagger UI    ${url}/docs`);
    expect(output).toMatch(`${url}${webhookPath(await secret('webhook-token'))}\n`);
    const commands = output.replaceAll('\\\n', '').match(/^ +curl .*$/gm) ?? [];
    expect(commands).toHaveLength(2);
    const run = async (command: string): Promise<string> => (await promisify(execFile)('sh', ['-c', command])).stdout;
    expect(await run(commands[0] ?? '')).toBe('{}');
    expect(JSON.parse(await run(commands[1] ?? '')).data[0].case_id).toBe('test-caseid11');
  },
);

test('its secrets are readable by their owner alone', async () => {
  await start().ready();
  for (const name of ['webhook-token', 'api-key', 'postgres-password']) {
    expect((await stat(file('secrets', name))).mode & 0o777).toBe(0o600);
    expect((await secret(name)).length).toBeGreaterThanOrEqual(32);
  }
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s ends it and its database, and the next start still has the case and the same secrets',
  async (signal) => {
    const first = start();
    const firstUrl = await first.ready();
    expect((await post(firstUrl, 'kept')).text).toBe('{}');
    const token = await secret('webhook-token');

    first.kill(signal);
    first.kill(signal); // from a terminal, npm passes it on a second time
    expect(await first.exitCode()).toBe(0);
    await expect(databasePid()).rejects.toThrow('ENOENT'); // the server removes its pid file as the last thing it does

    const url = await start().ready();
    expect(await find(url, 'kept')).toBe(1);
    expect(await secret('webhook-token')).toBe(token);
  },
);

test('killed, it leaves nothing that stops the next start, and no acknowledged case is gone', async () => {
  for (const round of [1, 2]) {
    const service = start();
    const url = await service.ready();
    for (let earlier = 1; earlier < round; earlier += 1) expect(await find(url, `round${earlier}`)).toBe(1);
    expect((await post(url, `round${round}`)).text).toBe('{}');
    service.kill('SIGKILL');
    expect(await service.exitCode()).toBeNull();
    expect(isAlive(await databasePid())).toBe(true);
  }
  const url = await start().ready();
  expect([await find(url, 'round1'), await find(url, 'round2')]).toEqual([1, 1]);
});

test('killed together with its database, it recovers at the next start', async () => {
  const service = start();
  const url = await service.ready();
  expect((await post(url, 'recovered')).text).toBe('{}');
  process.kill(await databasePid(), 'SIGKILL');
  service.kill('SIGKILL');
  await service.exitCode();
  expect(await find(await start().ready(), 'recovered')).toBe(1);
});

test('a stale pid file that names a living process of somebody else neither stops the start nor harms that process', async () => {
  const first = start();
  await first.ready();
  const lines = (await readFile(file('postgres', 'postmaster.pid'), 'utf8')).split('\n');
  first.kill('SIGINT');
  await first.exitCode();
  await writeFile(file('postgres', 'postmaster.pid'), [String(process.pid), ...lines.slice(1)].join('\n'));
  await start().ready();
  expect(await databasePid()).not.toBe(process.pid);
});

test('a start that was killed while it made the cluster is made good by the next', async () => {
  const first = start();
  await expect
    .poll(
      async () =>
        access(file('postgres-drafts')).then(
          () => true,
          () => false,
        ),
      { interval: 2, timeout: 20_000 },
    )
    .toBe(true);
  first.kill('SIGKILL');
  await first.exitCode();
  await start().ready();
});

test('a second start on the same folder says who uses it, and leaves the first alone', async () => {
  const first = start();
  const url = await first.ready();
  const second = start();
  expect(await second.exitCode()).toBe(1);
  expect(second.output()).toBe(
    `airudder-notifications: ${file()} is in use by the service with process id ${first.pid}\n`,
  );
  expect((await post(url, 'unharmed')).text).toBe('{}');
});

test('a port that is taken stops the start with one line that names the setting, and its database too', async () => {
  const url = await start().ready();
  const { port } = new URL(url);
  const other = spawnService({ PORT: port, DATA_DIR: 'other' }, directory);
  expect(await other.exitCode()).toBe(1);
  expect(other.output()).toBe(
    `airudder-notifications: PORT ${port} cannot be listened on at HOST 127.0.0.1 (EADDRINUSE)\n`,
  );
  await expect(access(path.join(directory, 'other', 'postgres', 'postmaster.pid'))).rejects.toThrow('ENOENT');
});

test('settings may stand in an .env file in the working directory', async () => {
  await writeFile(path.join(directory, '.env'), 'WEBHOOK_TOKENS=from-the-file\nDATA_DIR=elsewhere\n');
  const url = await start().ready();
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(notification()),
  };
  expect((await send(`${url}${webhookPath('from-the-file')}`, init)).status).toBe(200);
  await access(path.join(directory, 'elsewhere', 'postgres', 'PG_VERSION'));
});
