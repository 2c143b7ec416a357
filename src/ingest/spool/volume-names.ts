import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { newId } from '../../database/ids.js';

/** The names of the folders of volumes. The name says whether a volume is in place or sealed. */

/** Suffix of the folder of a sealed volume. */
export const CLOSED = '.closed';
const PLACED_NAME = /^[\da-f-]{36}$/;

/** The id of a volume in place, from the name of its folder. */
export function idOfPlaced(name: string): string[] {
  return PLACED_NAME.test(name) ? [name] : [];
}

/** The id of a sealed volume, from the name of its folder. */
export function idOfClosed(name: string): string[] {
  return name.endsWith(CLOSED) ? idOfPlaced(name.slice(0, -CLOSED.length)) : [];
}

/** Seals a volume: from now on no commit to it counts. */
export async function sealVolume(root: string, id: string): Promise<void> {
  await rename(path.join(root, id), path.join(root, id + CLOSED)).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // another process was faster
  });
}

/** Converts the spool of an earlier version, one environment at the root, to a volume. */
export async function moveOldSpool(root: string): Promise<void> {
  if (!existsSync(path.join(root, 'data.mdb'))) return;
  const folder = path.join(root, newId() + CLOSED);
  await mkdir(folder, { mode: 0o700 });
  await rename(path.join(root, 'data.mdb'), path.join(folder, 'data.mdb'));
  await rm(path.join(root, 'lock.mdb'), { force: true });
}

/** Syncs a folder, so that its new names survive a power cut. Some file systems do not support it. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder);
  try {
    await handle.sync();
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP', 'EBADF'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    await handle.close();
  }
}
