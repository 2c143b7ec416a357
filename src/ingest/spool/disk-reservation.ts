import { existsSync } from 'node:fs';
import { appendFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** The file of a spool that anything was ever added to is at least as long. */
export const CHUNK_BYTES = 256 * 1024;

/**
 * The room that the spool's file has on the disk before LMDB needs it. LMDB must never meet a full disk itself: lmdb 3.5.6
 * words that error into too little memory (`last_error` in `mdb_page_flush`), and a mapped file that the disk has no room for
 * ends the process by a signal. So the file is made longer here, where a refusal is an error like any other.
 *
 * It is only ever appended to, so processes that share a spool cannot write over each other's pages.
 */
export class DiskReservation {
  readonly #file: string;
  #knownBytes = 0;

  constructor(directory: string) {
    this.#file = path.join(directory, 'data.mdb');
  }

  /** Makes sure that a new spool can be made at all. @throws what the file system answers, such as ENOSPC */
  async probe(): Promise<void> {
    if (existsSync(this.#file)) return;
    const probe = `${this.#file}.probe`;
    try {
      await writeFile(probe, Buffer.alloc(CHUNK_BYTES));
    } finally {
      await rm(probe, { force: true });
    }
  }

  /** Returns when the file has so many bytes. @throws what the file system answers, such as ENOSPC */
  async ensure(bytes: number): Promise<void> {
    if (bytes <= this.#knownBytes) return;
    this.#knownBytes = (await stat(this.#file)).size;
    const missing = Math.ceil((bytes - this.#knownBytes) / CHUNK_BYTES) * CHUNK_BYTES;
    if (missing > 0) await appendFile(this.#file, Buffer.alloc(missing));
  }
}

/** True if a disk, or what its owner may use of it, has no room left. */
export function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
}
