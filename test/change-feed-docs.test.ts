import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ALL_KEY, notification, startService, type TestService } from './support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(async () => service.stop());

const document = readFileSync('docs/change-feed.md', 'utf8');
const programIn = (language: string): string =>
  new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(document)?.[1] ?? '';
const has = (...commands: string[]): boolean => commands.every((command) => !spawnSync(command, ['--version']).error);

const LANGUAGES = [
  { language: 'ts', command: process.execPath, file: 'mirror.mjs', compile: toJavaScript, isAvailable: true },
  { language: 'python', command: 'python3', file: 'mirror.py', isAvailable: has('python3') },
  { language: 'sh', command: 'sh', file: 'mirror.sh', isAvailable: has('curl', 'jq') },
];

function toJavaScript(program: string): string {
  const { ESNext } = ts.ModuleKind;
  return ts.transpileModule(program, { compilerOptions: { module: ESNext, target: ts.ScriptTarget.ES2022 } })
    .outputText;
}

test.for(LANGUAGES)(
  'the loop in $language mirrors every completion, also what came while it was not running',
  async ({ language, command, file, compile, isAvailable }, { skip }) => {
    if (!isAvailable) skip('the programs of this language are not installed');
    const directory = await mkdtemp(path.join(tmpdir(), 'airudder-mirror-'));
    const program = programIn(language);
    await writeFile(path.join(directory, file), compile ? compile(program) : program);
    const complete = async (caseId: string): Promise<void> =>
      expect((await service.post(notification({ case_id: caseId }))).status).toBe(200);
    const ids = [1, 2, 3].map((number) => `${language}-${number}`);

    await complete(ids[0] as string);
    const first = run(command, file, directory);
    await expect.poll(first.output, { timeout: 20_000 }).toContain(ids[0]);
    await complete(ids[1] as string);
    await expect.poll(first.output, { timeout: 20_000 }).toContain(ids[1]);
    await expect.poll(async () => readFile(path.join(directory, 'cursor'), 'utf8')).not.toBe('');
    await first.kill();
    await complete(ids[2] as string);
    const second = run(command, file, directory);
    await expect.poll(second.output, { timeout: 20_000 }).toContain(ids[2]);
    await second.kill();
    expect(second.output()).not.toContain(ids[0]);
    await rm(directory, { recursive: true });
  },
);

/** Runs the program in its own process group, so that its children end with it. */
function run(command: string, file: string, cwd: string): { output: () => string; kill: () => Promise<void> } {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], URL: service.url, KEY: ALL_KEY };
  const child = spawn(command, [file], { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return {
    output: () => text,
    kill: async () => {
      process.kill(-(child.pid as number), 'SIGKILL');
      await once(child, 'close');
    },
  };
}
