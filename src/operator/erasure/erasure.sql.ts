import type { Statement } from '../../database/connection.js';

/** Names the insert of erasures among the advisory locks of a database: an arbitrary constant. */
const ERASURE_LOCK = 6_158_420_176;

/** Serialises erasures, so that their numbers follow the order of their commits. */
export const ACQUIRE_ERASURE_LOCK: Statement = {
  name: 'erasure_turn',
  text: `SELECT pg_advisory_xact_lock(${ERASURE_LOCK})`,
};

/** Parameters: id, time, key name, subject, digest. */
export const INSERT_ERASURE: Statement = {
  name: 'erasure_decide',
  text: `
  INSERT INTO erasures (number, id, erased_at, key_name, subject, subject_digest)
  SELECT coalesce(max(number), 0) + 1, $1, $2, $3, $4, $5 FROM erasures`,
};

/** The transactions that currently write deliveries. */
export const LIST_WRITERS: Statement = {
  name: 'erasure_writers',
  text: `
  SELECT DISTINCT virtualtransaction AS writer
  FROM pg_locks
  WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND relation = 'notifications'::regclass
    AND mode = 'RowExclusiveLock' AND pid <> pg_backend_pid()`,
};

const IS_NUMBER = 'callee_number = $1';
const IS_CASE = 'workflow_id = $1 AND case_id = $2';

/** In key order, as the writer does, so that an erasure and a writer cannot deadlock. */
function lockCases(condition: string): string {
  return `
  SELECT id FROM cases WHERE ${condition}
  ORDER BY workflow_id, case_id, callee_number
  FOR UPDATE`;
}

/** By ix_cases_callee, and by uq_cases_identity. */
export const LOCK_CASES_OF_NUMBER: Statement = { name: 'erasure_lock_number', text: lockCases(IS_NUMBER) };
export const LOCK_CASES_OF_CASE: Statement = { name: 'erasure_lock_case', text: lockCases(IS_CASE) };

/** Parameter: ids of locked cases. By pk_case_node_tasks, ix_notifications_case and pk_cases. */
export const REMOVE_CASES: Statement = {
  name: 'remove_cases',
  text: `
  WITH gone_node_tasks AS (DELETE FROM case_node_tasks WHERE case_ref = ANY ($1::uuid[]) RETURNING 1),
    gone_notifications AS (DELETE FROM notifications WHERE case_ref = ANY ($1::uuid[]) RETURNING 1),
    gone_cases AS (DELETE FROM cases WHERE id = ANY ($1::uuid[]) RETURNING 1)
  SELECT (SELECT count(*) FROM gone_cases)::integer AS cases,
    (SELECT count(*) FROM gone_node_tasks)::integer AS case_node_tasks,
    (SELECT count(*) FROM gone_notifications)::integer AS notifications`,
};

/**
 * Selects quarantined bodies that may contain the subject: its bytes, or an escaped form. A backslash and a percent
 * sign escape characters, and a zero byte is half a character of UTF-16. Each call scans about 4 MiB of bodies; a loop
 * scans the whole quarantine, whose size is limited. Each row has the last id scanned; without a match one row has it
 * alone.
 *
 * Parameters: the id to scan after, the bytes of a number or an id. Along pk_quarantined_notifications; a length is
 * read without its body.
 */
export const READ_QUARANTINE: Statement = {
  name: 'erasure_read_quarantine',
  text: `
  WITH looked AS MATERIALIZED (
    SELECT id
    FROM (
      SELECT id, sum(bytes) OVER (ORDER BY id) - bytes AS bytes_before
      FROM (
        SELECT id, octet_length(body) AS bytes FROM quarantined_notifications
        WHERE id > $1::uuid
        ORDER BY id
        LIMIT 2000) AS next) AS summed
    WHERE bytes_before < 4 * 1024 * 1024)
  SELECT last.id AS last, found.id, found.body
  FROM (SELECT id FROM looked ORDER BY id DESC LIMIT 1) AS last
  LEFT JOIN (
    SELECT id, body FROM quarantined_notifications
    WHERE id = ANY (ARRAY (SELECT id FROM looked))
      AND (position($2::bytea IN body) > 0 OR position('\\x5c'::bytea IN body) > 0
      OR position('\\x25'::bytea IN body) > 0 OR position('\\x00'::bytea IN body) > 0)) AS found ON true`,
};

/** Parameter: ids. Triggers update the usage. */
export const REMOVE_QUARANTINED: Statement = {
  name: 'erasure_remove_quarantined',
  text: `DELETE FROM quarantined_notifications WHERE id = ANY ($1::uuid[]) RETURNING id`,
};

/** Parameters: id, counts of removed rows. */
export const COMPLETE_ERASURE: Statement = {
  name: 'erasure_finish',
  text: `UPDATE erasures SET removed = $2 WHERE id = $1`,
};

/** Parameter: a number or a case id. Removes the reasons of operators that contain it. */
export const REDACT_DISCARD_REASONS: Statement = {
  name: 'erasure_forget_remarks',
  text: `UPDATE quarantine_actions SET because = NULL WHERE strpos(because, $1) > 0`,
};

const COLUMNS = `number, id, erased_at, key_name, subject, removed`;

/** Pages along pk_erasures. */
export const LIST_ERASURES = `
  SELECT ${COLUMNS} FROM erasures
  WHERE number < $1
  ORDER BY number DESC
  LIMIT $2`;

/** By uq_erasures_id. */
export const GET_ERASURE = `SELECT ${COLUMNS} FROM erasures WHERE id = $1`;
