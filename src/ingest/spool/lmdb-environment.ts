import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { open, type RootDatabase } from 'lmdb';

/** The LMDB environment of one volume. */
export type SpoolFile = RootDatabase<Buffer, Buffer>;

/** Exit code of `verify-volume` for a corrupted volume. */
export const DAMAGED_EXIT_CODE = 65;

/** Opens the LMDB environment of a volume, and creates it if it does not exist. */
export function openSpoolFile(directory: string, { readOnly = false } = {}): SpoolFile {
  return open<Buffer, Buffer>({
    // lmdb caches the last environment of each base name for ever, so all volumes use the same base name.
    path: `${directory}/.`,
    encoding: 'binary',
    keyEncoding: 'binary',
    cache: false,
    readOnly,
    // A write resolves only after it is synced to disk; the default resolves earlier.
    overlappingSync: false,
    // Batching creates promises that no caller can catch: on a full disk their rejection would end the process.
    eventTurnBatching: false,
  });
}

/**
 * Commits changes in one transaction, all of them or none. Returns when they are synced to disk.
 *
 * @param changes calls `put` and `remove`, and returns their promises
 */
export async function commit(file: SpoolFile, changes: () => readonly Promise<unknown>[]): Promise<void> {
  try {
    await file.batch(() => {
      for (const change of changes()) change.catch(() => undefined); // each rejects together with the batch
    });
  } catch (error) {
    const { commitError } = error as { commitError?: Promise<never> };
    throw (await commitError?.catch((cause: unknown) => cause)) ?? error;
  }
}

/** Signals of a crash. A process that an operator ends gets other signals. */
const CRASHES = new Set(['SIGSEGV', 'SIGBUS', 'SIGABRT', 'SIGILL', 'SIGFPE', 'SIGTRAP']);

/**
 * Moves a volume next to the spool if it is corrupted. LMDB maps its file into memory and trusts it: a corrupted file may kill
 * the process. So a child process reads the whole volume first.
 *
 * @param spool the directory of the spool
 * @returns the new path of a corrupted volume; undefined otherwise
 */
export async function moveIfCorrupted(directory: string, spool: string): Promise<string | undefined> {
  if (!existsSync(path.join(directory, 'data.mdb')) || !(await isDamaged(directory))) return undefined;
  const corruptedPath = `${spool}-damaged-${new Date().toISOString().replaceAll(':', '')}`;
  await rename(directory, corruptedPath);
  return corruptedPath;
}

async function isDamaged(directory: string): Promise<boolean> {
  const check = fileURLToPath(new URL('verify-volume.js', import.meta.url));
  // In a process group of its own: Ctrl-C in a terminal must reach only the service, which shuts down in order.
  const reader = spawn(process.execPath, [check, directory], { detached: true, stdio: 'ignore' });
  const [code, signal] = (await once(reader, 'exit')) as [number | null, NodeJS.Signals | null];
  return code === DAMAGED_EXIT_CODE || CRASHES.has(signal ?? '');
}
