import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { open, type RootDatabase } from 'lmdb';

export type SpoolFile = RootDatabase<Buffer, Buffer>;

/** Exit code of `verify-volume`: it could read the file, and found it wrong. */
export const DAMAGED_EXIT_CODE = 65;

/** Opens the LMDB environment of a spool, and makes it if there is none. */
export function openSpoolFile(directory: string, { readOnly = false } = {}): SpoolFile {
  return open<Buffer, Buffer>({
    // It keeps the last one opened under each name for good: so they all have the same.
    path: `${directory}/.`,
    encoding: 'binary',
    keyEncoding: 'binary',
    cache: false,
    readOnly,
    // A write is told to be done only once it is on the disk: by default it would be told before.
    overlappingSync: false,
    // Its promises would be beyond reach, and one that fails on a full disk would end the process.
    eventTurnBatching: false,
  });
}

/**
 * Makes changes in one transaction, all of them or none. Returns when they are on the disk.
 *
 * @param changes makes them, by `put` and `remove`, and returns their promises
 */
export async function commit(file: SpoolFile, changes: () => readonly Promise<unknown>[]): Promise<void> {
  try {
    await file.batch(() => {
      for (const change of changes()) change.catch(() => undefined); // they fail with the batch, which tells
    });
  } catch (error) {
    const { commitError } = error as { commitError?: Promise<never> };
    throw (await commitError?.catch((cause: unknown) => cause)) ?? error;
  }
}

/** The signals by which a process ends that reads what cannot be: not those by which somebody ends it. */
const CRASHES = new Set(['SIGSEGV', 'SIGBUS', 'SIGABRT', 'SIGILL', 'SIGFPE', 'SIGTRAP']);

/**
 * Makes sure that what is in a folder of the spool, if there is something, can be read. LMDB maps its file into memory and trusts it: a damaged
 * one ends the process by a signal as likely as with an error. So another process reads it first, from end to end.
 *
 * @param spool beside it damaged folders are laid
 * @returns where a damaged one was moved to; undefined if there was none
 */
export async function moveIfCorrupted(directory: string, spool: string): Promise<string | undefined> {
  if (!existsSync(path.join(directory, 'data.mdb')) || !(await isDamaged(directory))) return undefined;
  const aside = `${spool}-damaged-${new Date().toISOString().replaceAll(':', '')}`;
  await rename(directory, aside);
  return aside;
}

async function isDamaged(directory: string): Promise<boolean> {
  const check = fileURLToPath(new URL('verify-volume.js', import.meta.url));
  // In a group of its own: Ctrl-C in a terminal is for the service, which then ends in order.
  const reader = spawn(process.execPath, [check, directory], { detached: true, stdio: 'ignore' });
  const [code, signal] = (await once(reader, 'exit')) as [number | null, NodeJS.Signals | null];
  return code === DAMAGED_EXIT_CODE || CRASHES.has(signal ?? '');
}
