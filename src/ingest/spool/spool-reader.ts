import { Logger } from '@nestjs/common';
import type { SpoolDirectory } from './spool-directory.js';
import { decodeRecord, type SpoolRecord } from './spool-record.js';
import type { SpoolVolume } from './spool-volume.js';

export interface Spooled {
  readonly key: Buffer;
  readonly record: SpoolRecord;
}

export interface Limits {
  readonly count: number;
  readonly bytes: number;
}

/** Reads the records of a spool in order of receipt, over all its volumes. */
export class SpoolReader {
  readonly #logger = new Logger('Spool');
  readonly #damaged = new Set<string>();

  constructor(private readonly folder: SpoolDirectory) {}

  /** The oldest ones behind a key, or of all, up to a number and about so many bytes; at least one if there is one. */
  oldest(limits: Limits, behind?: Buffer): Spooled[] {
    const found: Spooled[] = [];
    let bytes = 0;
    const pages = this.folder.volumes.flatMap((volume) => this.page(volume, limits, behind));
    for (const each of pages.sort((a, b) => a.key.compare(b.key))) {
      if (found.at(-1)?.key.equals(each.key)) continue; // one that is being carried over
      bytes += each.record.body.length;
      if (found.length === limits.count || (found.length > 0 && bytes > limits.bytes)) break;
      found.push(each);
    }
    return found;
  }

  /** What a volume has behind a key: at least as much as the limits allow, if there is so much. */
  page(volume: SpoolVolume, limits: Limits, behind?: Buffer): Spooled[] {
    const found: Spooled[] = [];
    let bytes = 0;
    for (const { key, value } of volume.entries(behind)) {
      if (found.length > limits.count || bytes > limits.bytes) break;
      const record = this.decode(key, value);
      if (!record) continue;
      found.push({ key: Buffer.from(key), record });
      bytes += record.body.length;
    }
    return found;
  }

  /** A record that was damaged since the start stays where it is: the next start sets its volume aside. */
  private decode(key: Buffer, value: Buffer): SpoolRecord | undefined {
    try {
      return decodeRecord(key, value);
    } catch {
      const name = key.toString('hex');
      if (!this.#damaged.has(name)) this.#logger.error('a record of the spool is damaged');
      this.#damaged.add(name);
      return undefined;
    }
  }
}
