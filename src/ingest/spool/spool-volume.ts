import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { newId } from '../../database/ids.js';
import { commit, openSpoolFile, type SpoolFile } from './lmdb-environment.js';
import { CLOSED, sealVolume, syncFolder } from './volume-names.js';
import { DiskReservation } from './disk-reservation.js';

/** Calls `put` and `remove`, and returns their promises. */
export type Changes = (file: SpoolFile) => Promise<unknown>[];

/** Pages that a commit may need besides those of its records. Draining uses them while the disk is full. */
const SPARE_PAGES = 64;

/** A volume without a write for this long is quiet. */
const QUIET_MS = 1_000;

/**
 * One volume of the spool: an LMDB environment in its own folder, with a name that is never reused.
 *
 * - *In place*: only the process that created it adds to it. Any process may seal it, by renaming its folder.
 * - *Sealed*: any process may read and empty it. Not earlier, because LMDB creates an environment that it does not find.
 *
 * A commit counts only if the volume is in place afterwards. So a process may delete a sealed volume that it finds empty: an
 * earlier commit would be visible, and a later one is repeated in another volume.
 */
export class SpoolVolume {
  /** True if records may have been removed: their bytes may still be in the file. */
  hasDeletedBytes = false;
  readonly #disk: DiskReservation;
  #users = 0;
  #lastTxnId = 0;
  #quietSince = 0;

  private constructor(
    private readonly root: string,
    readonly id: string,
    private readonly file: SpoolFile,
  ) {
    this.#disk = new DiskReservation(path.join(root, id));
  }

  /** Returns when the volume would survive a power cut. Until it is complete its name is temporary. */
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

  /** Opens a sealed volume, to empty it. Records may have been removed from it before. */
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

  /** True if the volume has been written to and has not changed for `QUIET_MS`. Detected by polling `lastTxnId`. */
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

  *entries(after?: Buffer): Generator<{ key: Buffer; value: Buffer }> {
    this.file.resetReadTxn();
    for (const entry of this.file.getRange(after ? { start: after } : {})) {
      if (!after?.equals(entry.key)) yield entry;
    }
  }

  has(key: Buffer): boolean {
    return this.file.doesExist(key);
  }

  /** Runs work during which the volume is not deleted. */
  async using<T>(work: () => Promise<T>): Promise<T> {
    this.#users += 1;
    try {
      return await work();
    } finally {
      this.#users -= 1;
    }
  }

  /** Reserves disk space for new records: pages are at least half full, or copied whole. */
  async reserveDiskSpace(records: number, bytes: number): Promise<void> {
    const { lastPageNumber, pageSize } = this.stats;
    await this.#disk.ensure((lastPageNumber + 1 + records + SPARE_PAGES) * pageSize + 2 * bytes);
  }

  async commit(changes: Changes): Promise<void> {
    await this.using(async () => commit(this.file, () => changes(this.file)));
  }

  async seal(): Promise<void> {
    await sealVolume(this.root, this.id);
  }

  /** The volume must be sealed, empty and unused. */
  async delete(): Promise<void> {
    await this.close();
    const folder = path.join(this.root, this.id + CLOSED);
    await rm(folder, { recursive: true, force: true, maxRetries: 3 }); // another process may be opening it
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

/** Bytes of the pages in use. LMDB fills free pages before the file grows. */
export function bytesInUse({ pageSize, treeBranchPageCount, treeLeafPageCount, overflowPages }: Stats): number {
  return pageSize * (treeBranchPageCount + treeLeafPageCount + overflowPages);
}
