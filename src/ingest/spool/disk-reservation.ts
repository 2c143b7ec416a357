import { existsSync } from 'node:fs';
import { appendFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** The data file of a volume with any record has at least this size. */
export const CHUNK_BYTES = 256 * 1024;

/**
 * Reserves disk space for the data file of a volume before LMDB needs it. LMDB must never write to a full disk: lmdb 3.5.6
 * reports it as ENOMEM (`last_error` in `mdb_page_flush`), and a write to a mapped page without disk space kills the process.
 * This class therefore extends the file, and a full disk is an ordinary error here.
 *
 * It only appends, so processes that share a spool cannot overwrite each other's pages.
 */
export class DiskReservation {
  readonly #file: string;
  #reservedBytes = 0;

  constructor(directory: string) {
    this.#file = path.join(directory, 'data.mdb');
  }

  /** Checks that the disk has space for a new volume. @throws the error of the file system, such as ENOSPC */
  async probe(): Promise<void> {
    if (existsSync(this.#file)) return;
    const probe = `${this.#file}.probe`;
    try {
      await writeFile(probe, Buffer.alloc(CHUNK_BYTES));
    } finally {
      await rm(probe, { force: true });
    }
  }

  /** Extends the file to at least this size. @throws the error of the file system, such as ENOSPC */
  async ensure(bytes: number): Promise<void> {
    if (bytes <= this.#reservedBytes) return;
    this.#reservedBytes = (await stat(this.#file)).size;
    const missing = Math.ceil((bytes - this.#reservedBytes) / CHUNK_BYTES) * CHUNK_BYTES;
    if (missing > 0) await appendFile(this.#file, Buffer.alloc(missing));
  }
}

/** True if the disk or the quota of the user is full. */
export function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
}
