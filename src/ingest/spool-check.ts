import { DAMAGED_EXIT_CODE, openSpoolFile } from './spool-file.js';
import { decodeRecord, DamagedRecordError } from './spool-record.js';

/** A program of its own: reads the spool in the folder given from end to end, and tells by its exit code what it found. */

/** What LMDB says of a file that is wrong. Anything else it says, such as a lack of rights or memory, proves nothing. */
const LMDB_DAMAGE = new Set([
  -30797, // MDB_PAGE_NOTFOUND
  -30796, // MDB_CORRUPTED
  -30794, // MDB_VERSION_MISMATCH
  -30793, // MDB_INVALID
]);

try {
  const file = openSpoolFile(process.argv[2] ?? '', { readOnly: true });
  for (const { key, value } of file.getRange()) decodeRecord(key, value);
  await file.close();
} catch (error) {
  const isDamage = error instanceof DamagedRecordError || LMDB_DAMAGE.has((error as { code: number }).code);
  process.exitCode = isDamage ? DAMAGED_EXIT_CODE : 1;
}
