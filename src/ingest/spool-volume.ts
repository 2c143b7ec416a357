import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { v7 as newId } from 'uuid';
import { commit, openSpoolFile, type SpoolFile } from './spool-file.js';
import { SpoolSpace } from './spool-space.js';

export type Changes = (file: SpoolFile) => Promise<unknown>[];

/** Pages that a commit may need beside those of its records; also what is left for draining when the disk is full. */
const SPARE_PAGES = 64;

/** During an outage more may come at any moment. */
const QUIET_MS = 1_000;

const CLOSED = '.closed';
const NAME = /^([\da-f-]{36})(\.closed)?$/;

/**
 * One file of the spool: an LMDB environment in a folder of its own. Only the process that made it ever adds to it, and its
 * name is never used again. Who wants it to take no more renames the folder: *closed* is what is not in its place.
 *
 * What is added is kept only if the volume is in its place after the commit. So who closes one and then finds it empty may
 * delete it: a commit that came before the closing would be seen, one that came after it is made again elsewhere.
 */
export class SpoolVolume {
  /** Something may have been removed from it. */
  isStained = false;
  readonly #space: SpoolSpace;
  #users = 0;
  #lastTxnId = 0;
  #quietSince = 0;

  private constructor(
    private readonly root: string,
    readonly id: string,
    private readonly file: SpoolFile,
  ) {
    this.#space = new SpoolSpace(path.join(root, id));
  }

  /** Returns when it would be found after a power cut. Until it is whole it has a name that nobody looks for. */
  static async create(root: string): Promise<SpoolVolume> {
    const id = newId();
    const folder = path.join(root, `${id}.new`);
    let file: SpoolFile | undefined;
    try {
      await mkdir(folder, { mode: 0o700 });
      await new SpoolSpace(folder).probe();
      file = openSpoolFile(folder);
      await syncFolder(folder);
      await rename(folder, path.join(root, id));
      await syncFolder(root);
      return new SpoolVolume(root, id, file);
    } catch (error) {
      await file?.close();
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** One that this process did not make, to be emptied. @param name as `idOf` knows it */
  static open(root: string, name: string): SpoolVolume {
    return new SpoolVolume(root, idOf(name) ?? '', openSpoolFile(path.join(root, name)));
  }

  get isInPlace(): boolean {
    return existsSync(path.join(this.root, this.id));
  }

  get isUsed(): boolean {
    return this.#users > 0;
  }

  get stats(): Stats {
    this.file.resetReadTxn(); // other processes write too
    return this.file.getStats() as Stats;
  }

  /** It was written to, and not for a while now, as far as whoever asks this from time to time could see. */
  get isQuiet(): boolean {
    const { lastTxnId } = this.stats;
    if (lastTxnId !== this.#lastTxnId) this.#quietSince = performance.now();
    this.#lastTxnId = lastTxnId;
    return lastTxnId > 0 && performance.now() - this.#quietSince >= QUIET_MS;
  }

  get isEmpty(): boolean {
    return this.stats.entryCount === 0;
  }

  *entries(behind?: Buffer): Generator<{ key: Buffer; value: Buffer }> {
    this.file.resetReadTxn();
    for (const entry of this.file.getRange(behind ? { start: behind } : {})) {
      if (!behind?.equals(entry.key)) yield entry;
    }
  }

  has(key: Buffer): boolean {
    return this.file.doesExist(key);
  }

  /** While somebody uses it, it is not deleted. */
  async using<T>(work: () => Promise<T>): Promise<T> {
    this.#users += 1;
    try {
      return await work();
    } finally {
      this.#users -= 1;
    }
  }

  /** Makes sure that the disk has room for what is to be added: pages are at least half full, or copied whole. */
  async makeRoom(records: number, bytes: number): Promise<void> {
    const { lastPageNumber, pageSize } = this.stats;
    await this.#space.ensure((lastPageNumber + 1 + records + SPARE_PAGES) * pageSize + 2 * bytes);
  }

  async commit(changes: Changes): Promise<void> {
    await this.using(async () => commit(this.file, () => changes(this.file)));
  }

  /** From now on it takes no more, by whichever process. */
  async shut(): Promise<void> {
    await rename(path.join(this.root, this.id), this.closedFolder).catch(ignoreAbsence);
  }

  /** To be called on one that is closed, empty, and used by nobody. */
  async delete(): Promise<void> {
    await this.close();
    await rm(this.closedFolder, { recursive: true, force: true });
  }

  async close(): Promise<void> {
    await this.file.close();
  }

  private get closedFolder(): string {
    return path.join(this.root, this.id + CLOSED);
  }
}

/** undefined: the folder is no volume. */
export function idOf(name: string): string | undefined {
  return NAME.exec(name)?.[1];
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

/** Another process was faster. */
function ignoreAbsence(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

export const NO_STATS = {
  entryCount: 0,
  pageSize: 0,
  lastPageNumber: 0,
  lastTxnId: 0,
  treeBranchPageCount: 0,
  treeLeafPageCount: 0,
  overflowPages: 0,
};
export type Stats = Readonly<typeof NO_STATS>;

/** Bytes of the pages in use: free ones are filled again before the file grows. */
export function bytesInUse({ pageSize, treeBranchPageCount, treeLeafPageCount, overflowPages }: Stats): number {
  return pageSize * (treeBranchPageCount + treeLeafPageCount + overflowPages);
}
