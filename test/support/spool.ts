import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { v7 as newId } from 'uuid';
import type { Config } from '../../src/config/config.js';
import type { SpoolRecord } from '../../src/ingest/spool/spool-record.js';
import type { Spooled } from '../../src/ingest/spool/spool-reader.js';
import { Spool } from '../../src/ingest/spool/spool.js';

/** Several lie in one page of the file; one has pages of its own; one has many. */
const SIZES = [150, 300, 900, 3_000, 9_000, 70_000];

export async function openSpool(dataDir: string, spoolMaxBytes = 2 ** 30): Promise<Spool> {
  const spool = new Spool({ dataDir, spoolMaxBytes } as Config);
  await spool.open();
  return spool;
}

/** A delivery whose bytes are full of a number. */
export function recordOf(number: string, size: number): SpoolRecord {
  const body = Buffer.from(number.repeat(Math.ceil(size / number.length)));
  return { receipt: { id: newId(), receivedAt: new Date(), kind: 'workflow-list-completion' }, body };
}

export function recordsOf(number: string, count: number): SpoolRecord[] {
  return Array.from({ length: count }, (_, n) => recordOf(number, SIZES[n % SIZES.length] as number));
}

export function* all(spool: Spool): Generator<Spooled> {
  let page: Spooled[] = [];
  do {
    page = spool.oldest({ count: 100, bytes: 2 ** 20 }, page.at(-1)?.key);
    yield* page;
  } while (page.length > 0);
}

/** Whether the bytes of a number are in any of the files. */
export async function isIn(dataDir: string, number: string): Promise<boolean> {
  for (const entry of await readdir(path.join(dataDir, 'spool'), { recursive: true, withFileTypes: true })) {
    // What was deleted a moment ago has nothing in it.
    const bytes = entry.isFile() && (await readFile(path.join(entry.parentPath, entry.name)).catch(() => Buffer.of()));
    if (bytes && bytes.includes(number)) return true;
  }
  return false;
}
