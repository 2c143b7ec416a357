import { constants as os } from 'node:os';
import { DAMAGED_EXIT_CODE, openSpoolFile } from './lmdb-environment.js';
import { DamagedRecordError, decodeRecord } from './spool-record.js';

/** A program of its own: reads the spool in the folder given from end to end, and tells by its exit code what it found. */

/** Codes that say something of this process or its neighbours rather than of the file: they prove nothing. */
const NO_DAMAGE = new Set([
  os.errno.ENOENT,
  os.errno.EPERM,
  os.errno.EACCES,
  os.errno.EROFS,
  os.errno.ENOMEM,
  os.errno.EMFILE,
  os.errno.ENFILE,
  os.errno.ENOSPC,
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
  process.exitCode = NO_DAMAGE.has((error as { code: number }).code) ? 1 : DAMAGED_EXIT_CODE;
}
