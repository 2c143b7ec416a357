import type { Statement } from '../../database/connection.js';
import { INGEST_NAME } from '../../database/data-source.js';

/** The SQL by which a renaming is looked at again. */

/** The connections of this and all other replicas on which notifications are written. */
const WRITERS = `
  SELECT FROM pg_stat_activity
  WHERE application_name = '${INGEST_NAME}' AND datname = current_database() AND pid <> pg_backend_pid()`;

/**
 * Parameter: a transaction that has ended. Once no statement that began before its end is under way any more: the
 * transactions of all that did end before the one returned.
 */
export const ALL_SEE: Statement = {
  name: 'all_see',
  text: `
  SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS horizon
  WHERE NOT EXISTS (${WRITERS} AND age(backend_xmin) >= age($1::xid8::xid))`,
};

/** Parameter: a transaction. A row once all before it have ended. */
export const HAVE_ENDED: Statement = {
  name: 'have_ended',
  text: `SELECT true AS have_ended WHERE NOT EXISTS (${WRITERS} AND age(backend_xid) > age($1::xid8::xid))`,
};

/**
 * Parameters: a workflow id, time and id of two deliveries, a number. So many that the workflow received last between the
 * two. Reads ix_notifications_workflow, backwards.
 */
export const READ_NEWER: Statement = {
  name: 'read_newer',
  text: `
  SELECT id, kind, received_at, body
  FROM notifications
  WHERE workflow_id = $1 AND body IS NOT NULL
    AND (received_at, id) > ($2::timestamptz, $3::uuid)
    AND (received_at, id) < ($4::timestamptz, $5::uuid)
  ORDER BY received_at DESC, id DESC
  LIMIT $6`,
};
