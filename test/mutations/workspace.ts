import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import type { Mutation } from './table.js';

const run = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, '../..');
const tsconfig = ts.readConfigFile(path.join(ROOT, 'tsconfig.json'), (file) => ts.sys.readFile(file)) as {
  config: { compilerOptions: object };
};
const { options } = ts.convertCompilerOptionsFromJson(tsconfig.config.compilerOptions, ROOT);
/** `transpileModule` reads no package.json and takes NodeNext for CommonJS, and a service with such a module does not start. */
const compilerOptions = { ...options, module: ts.ModuleKind.ESNext };

/** A run that lasts longer than every test's own timeout hangs, and fails. */
const RUN_TIMEOUT_MS = 400_000;
/** A condition that a mutation prevents is awaited in vain, so not for the whole minute of the suite. */
const RUN_OPTIONS = ['--reporter=json', '--expect.poll.timeout=20000'];

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

interface TestSettings {
  readonly TEST_DATABASE_URL: string;
  readonly TEST_CLUSTER: string;
}

/** A built copy of the checkout, uncommitted changes included, in which one file at a time is mutated. */
export class Workspace {
  private constructor(
    private readonly directory: string,
    private readonly settings: TestSettings,
  ) {}

  static async create(settings: TestSettings): Promise<Workspace> {
    const directory = await mkdtemp(path.join(tmpdir(), 'airudder-mutate-'));
    const listing = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    const { stdout } = await run('git', listing, { cwd: ROOT });
    const listed = stdout.split('\0').filter((file) => ts.sys.fileExists(path.join(ROOT, file))); // not the deleted ones
    for (const file of [...listed, 'dist'])
      await cp(path.join(ROOT, file), path.join(directory, file), { recursive: true });
    await symlink(path.join(ROOT, 'node_modules'), path.join(directory, 'node_modules'));
    return new Workspace(directory, settings);
  }

  /** @throws if the text does not occur exactly once */
  async apply({ file, find, replace }: Mutation): Promise<void> {
    const source = await readFile(path.join(ROOT, file), 'utf8');
    const occurrences = source.split(find).length - 1;
    if (occurrences !== 1) throw new Error(`${file} contains the text to find ${occurrences} times instead of once`);
    await this.write(
      file,
      source.replace(find, () => replace),
    );
  }

  async revert(file: string): Promise<void> {
    await this.write(file, await readFile(path.join(ROOT, file), 'utf8'));
  }

  /**
   * Runs tests, and no others of their files.
   *
   * @returns the names of those that fail
   * @throws if a name matches no test
   */
  async failuresOf(tests: Mutation['tests']): Promise<readonly string[]> {
    const reportFile = path.join(this.directory, 'report.json');
    const names = Object.values(tests).map(escapeExpression).join('|');
    const files = Object.keys(tests);
    const result = await run(
      process.execPath,
      ['node_modules/vitest/vitest.mjs', 'run', ...files, '-t', names, ...RUN_OPTIONS, '--outputFile', reportFile],
      { cwd: this.directory, env: this.environment(), timeout: RUN_TIMEOUT_MS, killSignal: 'SIGKILL' },
    ).catch((error: unknown) => error as { killed: boolean; stderr: string });
    if ('killed' in result && result.killed) return ['the run hangs'];
    const report = await readFile(reportFile, 'utf8').catch(() => {
      throw new Error(`the tests do not run: ${result.stderr}`);
    });
    await rm(reportFile);
    const { testResults } = JSON.parse(report) as Report;
    const results = testResults.flatMap((each) => each.assertionResults);
    for (const name of Object.values(tests))
      if (!results.some(({ fullName }) => fullName.includes(name))) throw new Error(`no test is named "${name}"`);
    const failed = results.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
    // Where a hook fails, such as one that starts the service, its tests are skipped and the file fails.
    const failedFiles = testResults.filter(({ status }) => status === 'failed').map(({ name }) => path.basename(name));
    return failed.length > 0 ? failed : failedFiles;
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Tests load the sources, the services that they start load `dist`. */
  private async write(file: string, text: string): Promise<void> {
    await writeFile(path.join(this.directory, file), text);
    if (!/^(src|migrations|scripts)\/.*\.ts$/.test(file)) return;
    const { outputText } = ts.transpileModule(text, { compilerOptions, fileName: file });
    await writeFile(path.join(this.directory, 'dist', file.replace(/\.ts$/, '.js')), outputText);
  }

  private environment(): NodeJS.ProcessEnv {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST') && name !== 'NODE_ENV');
    return { ...Object.fromEntries(inherited), ...this.settings };
  }
}

function escapeExpression(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
}
