import { DAMAGED_EXIT_CODE, openSpoolFile } from './spool-file.js';
import { decodeRecord } from './spool-record.js';

/** A program of its own: reads the spool in the folder given from end to end, and tells by its exit code what it found. */
const OUT_OF_REACH = ['EACCES', 'EPERM', 'EROFS'];

try {
  const file = openSpoolFile(process.argv[2] ?? '', { readOnly: true });
  for (const { key, value } of file.getRange()) decodeRecord(key, value);
  await file.close();
} catch (error) {
  const { code } = error as NodeJS.ErrnoException;
  process.exitCode = OUT_OF_REACH.includes(code ?? '') ? 1 : DAMAGED_EXIT_CODE;
}
