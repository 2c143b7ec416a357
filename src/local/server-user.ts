import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown } from 'node:fs/promises';
import { ConfigError } from '../config/config.js';

const SERVER_USER_ID = 65_534; // nobody, on every Linux

/**
 * PostgreSQL refuses to run as root, so root runs it as the user `nobody`. The capability lets that user pass through
 * folders that only root can enter, such as a home folder. A capability for reading only would do, but containers lack
 * it.
 */
export async function runAsServerUser(program: string, args: readonly string[]): Promise<void> {
  if (!isRoot()) {
    await run(program, args);
    return;
  }
  try {
    await run('setpriv', [
      `--reuid=${SERVER_USER_ID}`,
      `--regid=${SERVER_USER_ID}`,
      '--clear-groups',
      '--inh-caps=+dac_override',
      '--ambient-caps=+dac_override',
      '--securebits=+no_setuid_fixup', // else access(2) would ignore the capability
      '--',
      program,
      ...args,
    ]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new ConfigError('DATABASE_URL', 'is not set, and as root the embedded PostgreSQL needs setpriv (util-linux)');
  }
}

/** Gives files and folders to the server user, if this process is root. */
export async function giveToServerUser(...paths: string[]): Promise<void> {
  if (isRoot()) await Promise.all(paths.map(async (each) => chown(each, SERVER_USER_ID, SERVER_USER_ID)));
}

/**
 * Runs a program to its end in its own process group, so that Ctrl-C cannot interrupt a start or stop of the database.
 *
 * @returns its standard output
 * @throws Error with its standard error, if it fails
 */
export async function run(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk));
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${errors.trim()}`);
  return output;
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}
