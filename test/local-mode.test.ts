import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { DataDirLock } from '../src/local/data-dir-lock.js';
import { copyFolder } from './support/cluster.js';
import { type ServiceProcess, spawnService } from './support/process.js';
import { queryAt } from './support/query-at.js';
import { type Answer, notification, send, UNLIMITED, webhookPath } from './support/service.js';

/** The data folder that a first start left. */
let template: string;
let directory: string;
let running: ServiceProcess[];
beforeAll(async () => {
  template = await mkdtemp(path.join(tmpdir(), 'airudder-local-'));
  const first = spawnService({}, template);
  await first.ready();
  first.kill('SIGTERM');
  await first.exitCode();
});
afterAll(async () => rm(template, { recursive: true }));
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

/** Starts on a data folder that is not there yet, unless an earlier start left one. */
function start(settings: Record<string, string> = {}): ServiceProcess {
  const service = spawnService({ ...UNLIMITED, ...settings }, directory);
  running.push(service);
  return service;
}

/** Starts on a data folder that has been used before. */
async function startAgain(): Promise<ServiceProcess> {
  await copyFolder(path.join(template, '.data'), file());
  return start();
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

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
  '%s ends it and its database, and the next start still has the case and the same secrets',
  async (signal) => {
    const first = await startAgain();
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
    const service = round === 1 ? await startAgain() : start();
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
  const service = await startAgain();
  const url = await service.ready();
  expect((await post(url, 'recovered')).text).toBe('{}');
  process.kill(await databasePid(), 'SIGKILL');
  service.kill('SIGKILL');
  await service.exitCode();
  expect(await find(await start().ready(), 'recovered')).toBe(1);
});

test('a stale pid file that names a living process of somebody else neither stops the start nor harms that process', async () => {
  const first = await startAgain();
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
  const first = await startAgain();
  const url = await first.ready();
  const second = start();
  expect(await second.exitCode()).toBe(1);
  expect(second.output()).toBe(
    `airudder-notifications: DATA_DIR ${file()} is in use by the service with process id ${first.pid}\n`,
  );
  expect((await post(url, 'unharmed')).text).toBe('{}');
});

test('of two starts at the same moment one gets the folder, and the other says so', async () => {
  for (const sort of ['a new folder', 'a folder with a stale socket']) {
    const both = [start(), start()];
    const outcomes = await Promise.all(
      both.map(async (each) => Promise.race([each.ready(), each.exitCode()])).map(async (each) => each.catch(() => 1)),
    );
    expect(
      outcomes.filter((each) => each === 1),
      sort,
    ).toHaveLength(1);
    const loser = both[outcomes.indexOf(1)];
    expect(loser?.output()).toMatch(
      /^airudder-notifications: DATA_DIR .* is in use by the service with process id \d+\n$/,
    );
    both[1 - outcomes.indexOf(1)]?.kill('SIGKILL');
    await Promise.all(both.map(async (each) => each.exitCode()));
  }
});

test('the lock of a folder is taken by one of many, whether it is new or stale', async () => {
  const folder = path.join(directory, 'contested');
  for (let round = 0; round < 20; round += 1) {
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, async () => DataDirLock.acquire(folder)));
    const owners = outcomes.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    expect(owners).toHaveLength(1);
    for (const each of outcomes) {
      if (each.status === 'rejected') expect(String(each.reason)).toMatch(/is in use by the service with process id/);
    }
    await owners[0]?.release();
    if (round % 2 === 0) await leaveStaleSocket(folder);
  }
});

/** As a killed process does: a socket file that nobody listens on. */
async function leaveStaleSocket(folder: string): Promise<void> {
  const script = `require('net').createServer().listen(${JSON.stringify(path.join(folder, 'service.sock'))}, () => process.kill(process.pid, 'SIGKILL'))`;
  await promisify(execFile)(process.execPath, ['-e', script]).catch(() => undefined);
}

test('a connection on which nothing is under way does not hold up the end', async () => {
  const service = await startAgain();
  const { port } = new URL(await service.ready());
  const quiet = connect(Number(port), '127.0.0.1');
  await once(quiet, 'connect');
  service.kill('SIGINT');
  expect(await service.exitCode()).toBe(0);
  quiet.destroy();
  await expect(databasePid()).rejects.toThrow('ENOENT');
});

test('a request that is under way when the end is asked for is answered, and what it brought is there afterwards', async () => {
  const service = await startAgain();
  const { port } = new URL(await service.ready());
  const text = JSON.stringify(notification({ case_id: 'under-way' }));
  const socket = connect(Number(port), '127.0.0.1').setEncoding('utf8');
  const target = webhookPath(await secret('webhook-token'));
  socket.write(`POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: ${text.length}\r\n\r\n${text.slice(0, 20)}`);
  await new Promise((resolve) => setTimeout(resolve, 200));
  service.kill('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 200));
  socket.write(text.slice(20));
  const [answer] = (await once(socket, 'data')) as [string];
  expect(answer).toMatch(/^HTTP\/1.1 200 OK/);
  expect(await service.exitCode()).toBe(0);
  expect(await find(await start().ready(), 'under-way')).toBe(1);
});

test('busy clients are let go when the end is asked for, and every request that was answered is kept', async () => {
  const service = await startAgain();
  const url = await service.ready();
  const target = `${url}${webhookPath(await secret('webhook-token'))}`;
  const acknowledged: string[] = [];
  const postUntilClosed = async (client: number): Promise<void> => {
    for (let n = 0; ; n += 1) {
      const body = JSON.stringify(notification({ case_id: `busy-${client}-${n}` }));
      const answer = await send(target, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      if (answer.status === 200) acknowledged.push(answer.headers.get('x-request-id') ?? '');
    }
  };
  const clients = Array.from({ length: 20 }, async (_, client) => postUntilClosed(client).catch(() => undefined));
  await expect.poll(() => acknowledged.length).toBeGreaterThan(100);
  service.kill('SIGTERM');
  expect(await service.exitCode()).toBe(0);
  await Promise.all(clients);

  const nextUrl = await start().ready();
  const headers = { authorization: `Bearer ${await secret('api-key')}` };
  for (const id of acknowledged)
    expect((await send(`${nextUrl}/v1/notifications/${id}`, { headers })).status).toBe(200);
});

test('who asks the owner of a folder and then stays does not hold up its end', async () => {
  const service = await startAgain();
  await service.ready();
  const visitor = connect({ path: path.relative(process.cwd(), file('service.sock')), allowHalfOpen: true });
  await once(visitor, 'data');
  service.kill('SIGINT');
  expect(await service.exitCode()).toBe(0);
  visitor.destroy();
});

test("the embedded server's log holds no number, even of cases that are fought over", async () => {
  const service = await startAgain();
  const url = await service.ready();
  const target = `${url}${webhookPath(await secret('webhook-token'))}`;
  const init = { method: 'POST', headers: { 'content-type': 'application/json' } };
  for (let n = 0; n < 5; n += 1) {
    const body = JSON.stringify(notification({ case_id: `fought ${n}`, callee_number: '+6281999000111' }));
    const answers = await Promise.all(Array.from({ length: 20 }, async () => send(target, { ...init, body })));
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
  }
  const log = await readFile(file('postgres', 'server.log'), 'utf8');
  expect(log).toMatch('database system is ready');
  expect(log).not.toMatch(/6281999000111|duplicate key/);
});

test.each([
  [
    'is a file',
    async (folder: string) => writeFile(folder, ''),
    /^airudder-notifications: DATA_DIR .* cannot be used \(E\w+\)\n$/,
  ],
  [
    'has a character that the shell takes for its own',
    async () => undefined,
    /^airudder-notifications: DATA_DIR .* cannot hold a PostgreSQL cluster: .*\n$/,
  ],
])('a data folder that %s stops the start with one line', async (sort, prepare, told) => {
  const folder = path.join(directory, sort === 'is a file' ? 'file' : 'with $(touch it)');
  await prepare(folder);
  const service = start({ DATA_DIR: folder });
  expect(await service.exitCode()).toBe(1);
  expect(service.output()).toMatch(told);
});

test('a port that is taken stops the start with one line that names the setting, and its database too', async () => {
  const url = await (await startAgain()).ready();
  const { port } = new URL(url);
  await copyFolder(path.join(template, '.data'), path.join(directory, 'other'));
  const other = spawnService({ PORT: port, DATA_DIR: 'other' }, directory);
  expect(await other.exitCode()).toBe(1);
  expect(other.output()).toBe(
    `airudder-notifications: PORT ${port} cannot be listened on at HOST 127.0.0.1 (EADDRINUSE)\n`,
  );
  await expect(access(path.join(directory, 'other', 'postgres', 'postmaster.pid'))).rejects.toThrow('ENOENT');
});

test('settings may stand in an .env file in the working directory', async () => {
  await copyFolder(path.join(template, '.data'), path.join(directory, 'elsewhere'));
  await writeFile(path.join(directory, '.env'), 'WEBHOOK_TOKENS=from-the-file\nDATA_DIR=elsewhere\n');
  const url = await start().ready();
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(notification()),
  };
  expect((await send(`${url}${webhookPath('from-the-file')}`, init)).status).toBe(200);
  await access(path.join(directory, 'elsewhere', 'postgres', 'postmaster.pid'));
});

test("the embedded server's log holds no number of a row that it refuses", async () => {
  const url = await start().ready();
  const port = (await readFile(file('postgres', 'postmaster.pid'), 'utf8')).split('\n')[3];
  const database = `postgres://airudder:${await secret('postgres-password')}@127.0.0.1:${port}/airudder`;
  await queryAt(database, 'CREATE UNIQUE INDEX one_case_for_each_number ON cases (callee_number)');
  expect((await post(url, 'first')).status).toBe(200);
  expect((await post(url, 'second')).body['code']).toBe('unstorable');
  const log = await readFile(file('postgres', 'server.log'), 'utf8');
  expect(log).toMatch('one_case_for_each_number');
  expect(log).not.toContain(notification().callee_number.slice(1));
});
