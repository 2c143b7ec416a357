import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve as resolvePath } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ServiceProcess, spawnService } from './support/process.js';
import { type Answer, send } from './support/service.js';

let directory: string;
let service: ServiceProcess;
let url: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'airudder-simulate-'));
  service = spawnService({ API_KEYS: 'all:read+operate:key' }, directory);
  url = await service.ready();
});
afterAll(async () => {
  service.kill('SIGTERM');
  await service.exitCode();
  await rm(directory, { recursive: true });
});

async function simulate(...options: string[]): Promise<{ code: number; output: string; errors: string }> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'] };
    const script = resolvePath('dist/scripts/simulate.js');
    execFile(process.execPath, [script, ...options], { cwd: directory, env }, (error, output, errors) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, output, errors });
    });
  });
}

const get = async (path: string): Promise<Answer> =>
  send(`${url}${path}`, { headers: { authorization: 'Bearer key' } });
const figure = (output: string, line: RegExp): number => Number(line.exec(output)?.[1]?.replaceAll(',', ''));

test('it finds the local service by itself, and the tables hold what its summary says', async () => {
  const options = ['--count', '600', '--rate', '0', '--seed', '7', '--workflows', '3'];
  const { code, output } = await simulate(...options, '--duplicates', '0.1', '--changes', '0.1', '--malformed', '0.1');
  expect(code).toBe(0);
  const [cases, notifications, quarantined] = [/cases +([\d,]+)/, /deliveries +([\d,]+)/, /quarantined +([\d,]+)/].map(
    (line) => figure(output, line),
  ) as [number, number, number];
  expect(cases).toBeGreaterThan(300);
  expect(notifications + quarantined).toBe(600);
  expect(quarantined).toBeGreaterThan(30);

  expect((await get('/v1/cases?include_total=true&limit=1')).body['total']).toBe(cases);
  expect((await get('/v1/quarantine?limit=1000')).body['data']).toHaveLength(quarantined);
  const { body } = await get('/v1/workflows');
  expect(body['data']).toHaveLength(3);
  let deliveries = 0;
  for (const { workflow_id: id } of body['data'])
    deliveries += (await get(`/v1/workflows/${id}`)).body['notification_count'];
  expect(deliveries).toBe(notifications);
});

test('the same seed sends the same notifications: sent again they make no new case', async () => {
  const before = (await get('/v1/cases?include_total=true&limit=1')).body['total'];
  const { code } = await simulate(
    '--count',
    '200',
    '--rate',
    '0',
    '--seed',
    '7',
    '--workflows',
    '3',
    '--duplicates',
    '0.1',
    '--changes',
    '0.1',
    '--malformed',
    '0.1',
  );
  expect(code).toBe(0);
  expect((await get('/v1/cases?include_total=true&limit=1')).body['total']).toBe(before);
});

test('it sends to this machine only', async () => {
  const { code, errors } = await simulate('--url', 'http://192.0.2.1:3000');
  expect(code).toBe(2);
  expect(errors).toMatch(/^simulate: sends to this machine only .*\n$/);
});

test('an unknown option is named in one line', async () => {
  const { code, errors } = await simulate('--counts', '5');
  expect(code).toBe(2);
  expect(errors).toMatch(/^simulate: Unknown option '--counts'.*\n$/);
});
