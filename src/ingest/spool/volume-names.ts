import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { newId } from '../../database/ids.js';

/** The folders of a spool's volumes: their names say how they stand. */

export const CLOSED = '.closed';
const PLACED_NAME = /^[\da-f-]{36}$/;

/** The id of a volume in its place, by the name of its folder. */
export function idOfPlaced(name: string): string[] {
  return PLACED_NAME.test(name) ? [name] : [];
}

export function idOfClosed(name: string): string[] {
  return name.endsWith(CLOSED) ? idOfPlaced(name.slice(0, -CLOSED.length)) : [];
}

/** From now on it takes no more, by whichever process. */
export async function sealVolume(root: string, id: string): Promise<void> {
  await rename(path.join(root, id), path.join(root, id + CLOSED)).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error; // another process was faster
  });
}

/** Once the spool was one environment at its root: that becomes a volume. */
export async function moveOldSpool(root: string): Promise<void> {
  if (!existsSync(path.join(root, 'data.mdb'))) return;
  const folder = path.join(root, newId() + CLOSED);
  await mkdir(folder, { mode: 0o700 });
  await rename(path.join(root, 'data.mdb'), path.join(folder, 'data.mdb'));
  await rm(path.join(root, 'lock.mdb'), { force: true });
}

/** A new name in a folder survives a power cut only if the folder does. Some file systems have no way to ask for that. */
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
