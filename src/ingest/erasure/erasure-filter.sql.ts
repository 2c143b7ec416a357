import type { Statement } from '../../database/connection.js';

/** Reads the erasures after a number. Uses pk_erasures; numbers grow in commit order. Parameter: the last known number. */
export const READ_ERASURES: Statement = {
  name: 'read_erasures',
  text: `SELECT number, erased_at, subject_digest FROM erasures WHERE number > $1 ORDER BY number`,
};

/** Uses pk_instance_secrets. */
export const READ_ERASURE_KEY: Statement = {
  name: 'read_erasure_key',
  text: `SELECT secret FROM instance_secrets WHERE name = 'erasure'`,
};
