import { constants as os } from 'node:os';
import { DAMAGED_EXIT_CODE, openSpoolFile } from './lmdb-environment.js';
import { DamagedRecordError, decodeRecord } from './spool-record.js';

/** A child process: reads the whole volume in a folder, and reports by its exit code whether it is corrupted. */

/** Errors of the process or the system. They do not prove that the file is corrupted. */
const SYSTEM_ERRORS = new Set([
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
  let count = 0;
  for (const { key, value } of file.getRange()) {
    decodeRecord(key, value);
    count += 1;
  }
  // LMDB may stop iterating at a corrupted page, so compare with the entry count.
  const { entryCount } = file.getStats() as { entryCount: number };
  if (count !== entryCount) throw new DamagedRecordError(`only ${count} of ${entryCount} records are readable`);
  await file.close();
} catch (error) {
  process.exitCode = SYSTEM_ERRORS.has((error as { code: number }).code) ? 1 : DAMAGED_EXIT_CODE;
}
