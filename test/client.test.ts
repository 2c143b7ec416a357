import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ALL_KEY, notification, startService, type TestService, TOKEN } from './support/service.js';

const run = promisify(execFile);
const bin = (name: string): string => path.resolve('node_modules/.bin', name);

let directory: string;
let service: TestService;
beforeAll(async () => {
  service = await startService();
  directory = await mkdtemp(path.join(tmpdir(), 'airudder-client-'));
});
afterAll(async () => {
  await service.stop();
  await rm(directory, { recursive: true });
});

test('a client generated from openapi.json refuses what is wrong when it is compiled, and understands every answer', async () => {
  await copyFile('test/client/program.ts', path.join(directory, 'program.ts'));
  // What a team has beside the program: the packages, and a tsconfig.json as strict as ours.
  await symlink(path.resolve('node_modules'), path.join(directory, 'node_modules'));
  await writeFile(path.join(directory, 'package.json'), '{ "type": "module" }');
  await writeFile(path.join(directory, 'tsconfig.json'), JSON.stringify(tsconfig));
  await run(bin('openapi-typescript'), ['openapi.json', '-o', path.join(directory, 'openapi.d.ts')]);
  const compiler = await run(bin('tsc'), ['-p', directory]).catch((error: unknown) => error as { stdout: string });
  expect(compiler.stdout).toBe('');

  const { useApi } = await import(pathToFileURL(path.join(directory, 'program.js')).href);
  const notifications = [notification({ case_id: 'one' }), notification({ case_id: 'two', rows: [{}] })];
  await service.post(notification({ case_id: 'zero' }));
  const seen = await useApi(service.url, TOKEN, ALL_KEY, notifications);
  expect(seen).toEqual({
    notificationId: expect.stringMatching(/^[\da-f-]{36}$/),
    refusal: ['rows[0].nodetask_id', 'rows[0].nodetask_name', 'rows[0].node_type'],
    verdicts: [
      ['one', 'completed'],
      ['unknown', 'not_seen'],
    ],
    isCertain: true,
    caseIds: ['zero', 'one'],
    taskIds: [
      ['call', 32],
      ['sms', null],
      ['email', null],
    ],
    timeline: [[seen.notificationId, 'first']],
    workflows: ['test-544-0001'],
    completedCases: 2,
    events: [
      ['completed', '+62123456'],
      ['completed', '+62123456'],
    ],
    isCaughtUp: true,
    held: [['invalid_fields', 1]],
    problem: 'invalid_request',
  });
});

const tsconfig = {
  extends: path.resolve('tsconfig.json'),
  compilerOptions: { rootDir: '.', outDir: '.', sourceMap: false, types: [], lib: ['ES2023', 'DOM'] },
  include: ['program.ts', 'openapi.d.ts'],
};
