import { DAMAGED_EXIT_CODE, openSpoolFile } from './spool-file.js';
import { DamagedRecordError, decodeRecord } from './spool-record.js';

/** A program of its own: reads the spool in the folder given from end to end, and tells by its exit code what it found. */

/** LMDB's own codes, below zero, that say something of this process or its neighbours rather than of the file. */
const NO_DAMAGE = new Set([
  -30790, // MDB_READERS_FULL
  -30789, // MDB_TLS_FULL
  -30785, // MDB_MAP_RESIZED
]);

try {
  const file = openSpoolFile(process.argv[2] ?? '', { readOnly: true });
  let found = 0;
  for (const { key, value } of file.getRange()) {
    decodeRecord(key, value);
    found += 1;
  }
  // At a damaged page LMDB may take its way for ended.
  const { entryCount } = file.getStats() as { entryCount: number };
  if (found !== entryCount) throw new DamagedRecordError(`of ${entryCount} records ${found} can be reached`);
  await file.close();
} catch (error) {
  // Codes above zero are the operating system's: no rights, no memory. They prove nothing.
  const { code = 0 } = error as { code?: number | string };
  const isDamage = typeof code === 'string' || (code <= 0 && !NO_DAMAGE.has(code));
  process.exitCode = isDamage ? DAMAGED_EXIT_CODE : 1;
}
