import { Logger } from '@nestjs/common';
import type { SpoolDirectory } from './spool-directory.js';
import { decodeRecord, type SpoolRecord } from './spool-record.js';
import type { SpoolVolume } from './spool-volume.js';

/** A record with its key. */
export interface Spooled {
  readonly key: Buffer;
  readonly record: SpoolRecord;
}

/** Limits of one read. */
export interface Limits {
  readonly count: number;
  readonly bytes: number;
}

/** Reads the records of a spool in order of receipt, over all its volumes. */
export class SpoolReader {
  readonly #logger = new Logger('Spool');
  readonly #corruptedKeys = new Set<string>();

  constructor(private readonly folder: SpoolDirectory) {}

  /** Reads the oldest records, or the oldest after a key, within the limits. Returns at least one if there is one. */
  oldest(limits: Limits, after?: Buffer): Spooled[] {
    const records: Spooled[] = [];
    let bytes = 0;
    const pages = this.folder.volumes.flatMap((volume) => this.page(volume, limits, after));
    for (const each of pages.sort((a, b) => a.key.compare(b.key))) {
      if (records.at(-1)?.key.equals(each.key)) continue; // in two volumes while it is moved
      bytes += each.record.body.length;
      if (records.length === limits.count || (records.length > 0 && bytes > limits.bytes)) break;
      records.push(each);
    }
    return records;
  }

  /** Reads the records of one volume after a key, up to the first record beyond the limits. */
  page(volume: SpoolVolume, limits: Limits, after?: Buffer): Spooled[] {
    const records: Spooled[] = [];
    let bytes = 0;
    for (const { key, value } of volume.entries(after)) {
      if (records.length > limits.count || bytes > limits.bytes) break;
      const record = this.decode(key, value);
      if (!record) continue;
      records.push({ key: Buffer.from(key), record });
      bytes += record.body.length;
    }
    return records;
  }

  /** Skips a record that was corrupted since the start. The next start moves its volume aside. */
  private decode(key: Buffer, value: Buffer): SpoolRecord | undefined {
    try {
      return decodeRecord(key, value);
    } catch {
      const name = key.toString('hex');
      if (!this.#corruptedKeys.has(name)) this.#logger.error('corrupted spool record skipped');
      this.#corruptedKeys.add(name);
      return undefined;
    }
  }
}
