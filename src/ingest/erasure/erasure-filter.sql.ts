import type { Statement } from '../../database/connection.js';

/** Parameter: the number of the last loaded erasure. Numbers grow in commit order. Reads pk_erasures. */
export const READ_ERASURES: Statement = {
  name: 'read_erasures',
  text: `SELECT number, erased_at, subject_digest FROM erasures WHERE number > $1 ORDER BY number`,
};

/** Uses pk_instance_secrets. */
export const READ_ERASURE_KEY: Statement = {
  name: 'read_erasure_key',
  text: `SELECT secret FROM instance_secrets WHERE name = 'erasure'`,
};
