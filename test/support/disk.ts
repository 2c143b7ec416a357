import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, vi } from 'vitest';
import { run } from '../../src/local/server-user.js';
import { POLL, skip } from './chaos.js';

/** Mounts a disk of a few bytes, in memory; where that is not possible the test is skipped. */
export async function mountSmallDisk(context: TestContext, folder: string, kilobytes: number): Promise<void> {
  await orSkip(context, async () => mount(folder, '-t', 'tmpfs', '-o', `size=${kilobytes}k,mode=0700`, 'tmpfs'));
}

/** A disk whose bytes lie in a file: a copy of that file has what a power cut at this moment would leave. */
export async function makeDiskImage(context: TestContext, image: string, megabytes: number): Promise<void> {
  await orSkip(context, async () => {
    await run('truncate', [`--size=${megabytes}M`, image]);
    await run('mkfs.ext4', ['-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image]);
  });
}

/** What nobody asks to be on it does not come there by itself meanwhile: it writes down what it has every five minutes. */
export async function mountDiskImage(context: TestContext, folder: string, image: string): Promise<void> {
  await orSkip(context, async () => mount(folder, '-o', 'loop,commit=300', image));
}

/** A disk that takes nothing more until it thaws: a file on it keeps exactly the bytes of this moment. */
export async function freeze(context: TestContext, folder: string): Promise<void> {
  await orSkip(context, async () => void (await run('fsfreeze', ['--freeze', folder])));
}

export async function thaw(folder: string): Promise<void> {
  await run('fsfreeze', ['--unfreeze', folder]);
}

/** Whoever has a file open on it is told that the disk is busy: end them first. A disk in it may take a moment to let go. */
export async function unmount(folder: string): Promise<void> {
  await vi.waitFor(async () => run('umount', [folder]), POLL);
}

export async function fillUp(folder: string): Promise<void> {
  const tooMuch = Buffer.alloc(1024 * 1024, 1);
  for (let n = 0; ; n += 1) {
    const isFull = await writeFile(path.join(folder, `filler-${n}`), tooMuch).then(() => false, isDiskFull);
    if (isFull) return;
  }
}

async function mount(folder: string, ...options: string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  await run('mount', [...options, folder]);
}

async function orSkip(context: TestContext, work: () => Promise<void>): Promise<void> {
  if (process.platform !== 'linux') skip(context, 'a disk of its own needs Linux');
  if (process.getuid?.() !== 0) skip(context, 'a disk of its own needs root');
  try {
    await work();
  } catch (error) {
    skip(context, `a disk of its own cannot be had: ${(error as Error).message}`);
  }
}

function isDiskFull(error: unknown): true {
  if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return true;
  throw error;
}
