import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { newId } from '../../database/ids.js';
import { commit, openSpoolFile, type SpoolFile } from './lmdb-environment.js';
import { CLOSED, sealVolume, syncFolder } from './volume-names.js';
import { DiskReservation } from './disk-reservation.js';

export type Changes = (file: SpoolFile) => Promise<unknown>[];

/** Pages that a commit may need beside those of its records; also what is left for draining when the disk is full. */
const SPARE_PAGES = 64;

/** During an outage more may come at any moment. */
const QUIET_MS = 1_000;

/**
 * One file of the spool: an LMDB environment in a folder of its own. Only the process that made it ever adds to it, and its
 * name is never used again. Who wants it to take no more renames the folder: *closed* is what is not in its place. Others read
 * and empty it only after that, for LMDB makes what it is told to open and does not find.
 *
 * What is added is kept only if the volume is in its place after the commit. So who closes one and then finds it empty may
 * delete it: a commit that came before the closing would be seen, one that came after it is made again elsewhere.
 */
export class SpoolVolume {
  /** Something may have been removed from it. */
  hasDeletedBytes = false;
  readonly #space: DiskReservation;
  #users = 0;
  #lastTxnId = 0;
  #quietSince = 0;

  private constructor(
    private readonly root: string,
    readonly id: string,
    private readonly file: SpoolFile,
  ) {
    this.#space = new DiskReservation(path.join(root, id));
  }

  /** Returns when it would be found after a power cut. Until it is whole it has a name that nobody looks for. */
  static async create(root: string): Promise<SpoolVolume> {
    const id = newId();
    const folder = path.join(root, `${id}.new`);
    let file: SpoolFile | undefined;
    try {
      await mkdir(folder, { mode: 0o700 });
      await new DiskReservation(folder).probe();
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

  /** A closed one, to be emptied. What was removed from it before cannot be known. */
  static open(root: string, id: string): SpoolVolume {
    const volume = new SpoolVolume(root, id, openSpoolFile(path.join(root, id + CLOSED)));
    volume.hasDeletedBytes = true;
    return volume;
  }

  get names(): string[] {
    return [this.id, this.id + CLOSED];
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

  get wasWrittenTo(): boolean {
    return this.stats.lastTxnId > 0;
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

  async seal(): Promise<void> {
    await sealVolume(this.root, this.id);
  }

  /** To be called on one that is closed, empty, and used by nobody. */
  async delete(): Promise<void> {
    await this.close();
    const folder = path.join(this.root, this.id + CLOSED);
    await rm(folder, { recursive: true, force: true, maxRetries: 3 }); // another process may just be opening it
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

interface Stats {
  readonly entryCount: number;
  readonly pageSize: number;
  readonly lastPageNumber: number;
  readonly lastTxnId: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

/** Bytes of the pages in use: free ones are filled again before the file grows. */
export function bytesInUse({ pageSize, treeBranchPageCount, treeLeafPageCount, overflowPages }: Stats): number {
  return pageSize * (treeBranchPageCount + treeLeafPageCount + overflowPages);
}
