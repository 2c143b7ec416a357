import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve as resolvePath } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type ServiceProcess, spawnService } from './support/process.js';
import { type Answer, type Json, notification, send } from './support/service.js';

const TOKEN = 'token-of-this-test';

let directory: string;
let service: ServiceProcess;
let url: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'airudder-ops-'));
  service = spawnService({ WEBHOOK_TOKENS: TOKEN }, directory); // it makes its API key itself
  url = await service.ready();
});
afterAll(async () => {
  service.kill('SIGTERM');
  await service.exitCode();
  await rm(directory, { recursive: true });
});
beforeEach(async () => {
  await ops('discard', '--kind', 'workflow-list-completion', '--because', 'Left by the former test.');
});

interface Ended {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

async function run(args: readonly string[], environment: Record<string, string> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], ...environment };
    const script = resolvePath('dist/scripts/ops.js');
    execFile(process.execPath, [script, ...args], { cwd: directory, env }, (error, output, errors) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, output, errors });
    });
  });
}

const ops = async (...args: string[]): Promise<Ended> => run(['quarantine', ...args]);

async function refuse(body: unknown, type = 'application/json'): Promise<string> {
  const answer: Answer = await send(`${url}/webhooks/airudder/${TOKEN}/workflow-list-completion`, {
    method: 'POST',
    headers: { 'content-type': type },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return answer.body['request_id'] as string;
}

test('it finds the local service and its key by itself, and lists what was refused', async () => {
  const ids = [
    await refuse('{'),
    await refuse(notification({ case_id: 'listed', rows: 1 })),
    await refuse(notification({ case_id: 'listed \u001b[2J', rows: 1 })),
  ];
  const { code, output } = await ops('list');
  expect(code).toBe(0);
  const [head, ...lines] = output.trim().split('\n');
  expect(head).toMatch(/^id +reason +count +first_received_at +workflow_id +case_id +callee_number$/);
  expect(lines.map((line) => line.slice(0, 36))).toEqual(ids.toReversed());
  expect(output).not.toMatch('\u001b');
  const filtered = await ops('list', '--case-id', 'listed', '--reason', 'invalid_fields', '--json');
  expect((JSON.parse(filtered.output)['data'] as Json[]).map(({ id }) => id)).toEqual([ids[1]]);
  expect((await ops('list', '--limit', '2')).output).toMatch(/There are more: --cursor \S+\n$/);
});

test('it shows one with what is wrong in it', async () => {
  const id = await refuse(notification({ case_id: 5 }));
  const { code, output } = await ops('show', id);
  expect(code).toBe(0);
  expect(output).toMatch(/^reason +invalid_fields$/m);
  expect(output).toMatch(/^errors .*must be a string/m);
  expect(output).toMatch(/^body +\{.*"case_id":5/m);
});

test('it tells what a replay would come to, replays, and tells by its code whether all is done', async () => {
  const valid = await refuse(notification({ case_id: 'put right' }), 'text/plain');
  const bad = await refuse('{');
  expect((await ops('replay', '--all', '--dry-run')).output).toMatch(
    /\n1 would be replayed, 1 would stay \(1 not_json\)\n$/,
  );
  const { code, output } = await ops('replay', '--all');
  expect(code).toBe(1);
  expect(output).toMatch(new RegExp(`^${bad} +refused +not_json`, 'm'));
  expect(output).toMatch(/\n1 replayed, 1 stay \(1 not_json\)\n$/);
  expect((await ops('list')).output).not.toMatch(valid);
  const another = await refuse(notification({ case_id: 'put right too' }), 'text/plain');
  expect(await ops('replay', another)).toEqual({ code: 0, output: '1 replayed, 0 stay\n', errors: '' });
});

test('it discards by id and by filter, with a reason', async () => {
  const ids = [await refuse('{ 1'), await refuse('{ 2'), await refuse('{ 3')] as const;
  expect(await ops('discard', ids[0], '--because', 'Noise.')).toMatchObject({ code: 0, output: '1 discarded\n' });
  const filter = ['--reason', 'not_json', '--because', 'Noise.'];
  expect((await ops('discard', ...filter, '--dry-run')).output).toBe('2 would be discarded\n');
  expect((await ops('discard', ...filter)).output).toBe('2 discarded\n');
  expect((await ops('list')).output.trim().split('\n')).toHaveLength(1);
});

test.each([
  [['list', '--raeson', 'x'], /^ops: Unknown option '--raeson'; --help lists the options\n$/],
  [['list', '--dry-run'], /^ops: Unknown option '--dry-run'; --help lists the options\n$/],
  [['lst'], /^ops: unknown command; --help lists the commands\n$/],
  [['show'], /^ops: show takes the id of a refused body\n$/],
  [['replay'], /^ops: replay takes ids, a filter, or --all\n$/],
  [['replay', 'an-id', '--all'], /^ops: give ids, or a filter with its options, but not both\n$/],
  [['discard', '--reason', 'not_json'], /^ops: discard takes a reason: --because "…"\n$/],
  [['discard', '--because', 'Noise.'], /^ops: discard takes ids or a filter\n$/],
  [['list', '--url', 'ftp://127.0.0.1'], /^ops: --url must be like http:\/\/127.0.0.1:3000\n$/],
  [['list', '--url', 'http://127.0.0.1:1'], /^ops: http:\/\/127.0.0.1:1 does not answer \(.+\)\n$/],
  [['list', '--url', 'http://192.0.2.1:3000'], /^ops: AIRUDDER_API_KEY is not set\n$/],
])('asked wrongly (%j) it says in one line what is wrong, and ends with 2', async (args, message) => {
  const { code, output, errors } = await ops(...args);
  expect([code, output]).toEqual([2, '']);
  expect(errors).toMatch(message);
});

test('what the service refuses it tells, with what is wrong where, and ends with 1', async () => {
  const wrong = await ops('list', '--reason', 'unknown');
  expect(wrong.code).toBe(1);
  expect(wrong.errors).toMatch(/^ops: .* \(400 invalid_request\)\n {2}reason must be one of not_json, .*\n$/);
  const gone = await ops('show', '01234567-89ab-7def-8123-456789abcdef');
  expect([gone.code, gone.errors]).toEqual([1, 'ops: There is nothing with this id. (404 not_found)\n']);
  const closed = await run(['quarantine', 'list', '--url', url], { AIRUDDER_API_KEY: 'no-such-key' });
  expect([closed.code, closed.errors]).toEqual([1, expect.stringMatching(/\(401 unauthorized\)\n$/)]);
});

test('it explains itself', async () => {
  for (const args of [[], ['--help'], ['quarantine'], ['quarantine', 'list', '--help']]) {
    const { code, output } = await run(args);
    expect(code).toBe(0);
    expect(output).toMatch(/^npm run ops -- quarantine COMMAND \[options\]\n/);
  }
});
