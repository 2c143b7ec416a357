import type { Statement } from '../../database/connection.js';

/** The columns of uq_quarantined_notifications_body. */
export const BODY_KEY = { kind: 'text', reason: 'text', body_digest: 'bytea' } as const;

/** The columns of a new row. */
export const REJECTED_BODY = {
  id: 'uuid',
  ...BODY_KEY,
  errors: 'text',
  body: 'bytea',
  count: 'integer',
  first_received_at: 'timestamptz',
  last_received_at: 'timestamptz',
  workflow_id: 'text',
  case_id: 'text',
  callee_number: 'text',
} as const;

export const READ_USAGE = `SELECT rows, bytes FROM quarantine_usage`;

/** Every writer locks this row first, so the usage stays valid until the commit and writers cannot deadlock. */
export const LOCK_USAGE: Statement = {
  name: 'lock_quarantine_usage',
  text: `SELECT rows, bytes FROM quarantine_usage FOR UPDATE`,
};

/** Parameters: kinds, reasons, digests. Reads uq_quarantined_notifications_body. */
export const FIND_BODIES: Statement = {
  name: 'find_refused_bodies',
  text: `
  SELECT kind, reason, body_digest
  FROM unnest($1::text[], $2::text[], $3::bytea[]) AS wanted (kind, reason, body_digest)
  JOIN quarantined_notifications USING (kind, reason, body_digest)`,
};

const columns = Object.keys(REJECTED_BODY).join(', ');
const arrays = Object.values(REJECTED_BODY).map((type, index) => `$${index + 1}::${type}[]`);

/** Parameters: the columns of REJECTED_BODY. Counts equal bytes with the same reason in one row. */
export const INSERT_BODIES: Statement = {
  name: 'keep_refused_bodies',
  text: `
  INSERT INTO quarantined_notifications AS stored (${columns})
  SELECT ${columns.replace('errors', 'errors::json')}
  FROM unnest(${arrays.join(', ')}) AS rejected (${columns})
  ON CONFLICT (kind, reason, body_digest) DO UPDATE
  SET count = stored.count + excluded.count,
    first_received_at = least(stored.first_received_at, excluded.first_received_at),
    last_received_at = greatest(stored.last_received_at, excluded.last_received_at)
  RETURNING id, kind, reason, body_digest`,
};
