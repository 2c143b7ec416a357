import { type Bind, buildQuery, type ParameterizedQuery, toWhere } from '../../database/sql.js';
import { parseTime } from '../../http/rest/time.js';
import type { QuarantineFilter } from './quarantine.dto.js';

/** A position in the order of the first receipt: time in milliseconds, then id. */
export type QuarantinePosition = readonly [firstReceivedAtMs: number, id: string];

const COLUMNS = `
  id, reason, errors, count, first_received_at, last_received_at, kind, workflow_id, case_id, callee_number`;

/**
 * A page of matching bodies, newest first. Along ix_quarantined_notifications_received, or for one reason along
 * ix_quarantined_notifications_reason. The few bodies of a case or a number (_case, _callee) are sorted.
 */
export function listStatement(
  filter: QuarantineFilter,
  after: QuarantinePosition | undefined,
  limit: number,
): ParameterizedQuery {
  return buildQuery(
    (bind) => `
    SELECT ${COLUMNS} FROM quarantined_notifications
    ${where(filter, bind, '<', after)}
    ORDER BY first_received_at DESC, id DESC
    LIMIT ${bind(limit)}`,
  );
}

/** By pk_quarantined_notifications. */
export const GET_QUARANTINED = `SELECT ${COLUMNS}, body FROM quarantined_notifications WHERE id = $1`;

/** By pk_quarantine_actions, newest first. */
export const LIST_ACTIONS = `SELECT * FROM quarantine_actions WHERE id < $1 ORDER BY id DESC LIMIT $2`;

/** The size of one batch of the writer. One more body of the maximum size may follow. */
const MAX_BATCH_BYTES = 4 * 2 ** 20;

const REPLAY_COLUMNS = 'id, kind, reason, errors, first_received_at, body, body_digest';

/** The next batch of matching bodies to replay, oldest first. Along the same indexes. */
export function batchStatement(
  filter: QuarantineFilter,
  after: QuarantinePosition | undefined,
  limit: number,
): ParameterizedQuery {
  return buildQuery(
    (bind) => `
    SELECT ${REPLAY_COLUMNS} FROM (
      SELECT *, sum(octet_length(body)) OVER (ORDER BY first_received_at, id) - octet_length(body) AS bytes_before
      FROM (
        SELECT ${REPLAY_COLUMNS} FROM quarantined_notifications
        ${where(filter, bind, '>', after)}
        ORDER BY first_received_at, id
        LIMIT ${bind(limit)}) AS nearest) AS sized
    WHERE bytes_before < ${MAX_BATCH_BYTES}
    ORDER BY first_received_at, id`,
  );
}

/** One body as a batch to replay. */
export const GET_BATCH_OF_ONE = `SELECT ${REPLAY_COLUMNS} FROM quarantined_notifications WHERE id = $1`;

/** The next matching rows without their bodies, oldest first. Along the same indexes. */
export function findStatement(
  filter: QuarantineFilter,
  after: QuarantinePosition | undefined,
  limit: number,
): ParameterizedQuery {
  return buildQuery(
    (bind) => `
    SELECT id, reason, count, first_received_at FROM quarantined_notifications
    ${where(filter, bind, '>', after)}
    ORDER BY first_received_at, id
    LIMIT ${bind(limit)}`,
  );
}

/** Names the commands of operators among the advisory locks of a database: an arbitrary constant. */
const COMMAND_LOCK = 6_158_420_178;

/** Held until the end of the transaction. */
export const ACQUIRE_COMMAND_LOCK = `SELECT pg_advisory_xact_lock(${COMMAND_LOCK})`;

/** The transaction is idle while the writer writes on another connection, longer than other transactions may be. */
export const ALLOW_IDLE = `SET LOCAL idle_in_transaction_session_timeout = '60s'`;

/**
 * Removes bodies and records each removal with its latest count. Parameters: ids of bodies, ids of records, verdicts;
 * key name, action, reason of the operator.
 */
export const REMOVE = `
  WITH act AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS act (quarantined_id, id, verdict)
  ),
  removed AS (
    DELETE FROM quarantined_notifications WHERE id = ANY ($1::uuid[])
    RETURNING id AS quarantined_id, kind, reason, count
  )
  INSERT INTO quarantine_actions
    (id, acted_at, key_name, action, quarantined_id, kind, reason, count, verdict, because)
  SELECT id, clock_timestamp(), $4, $5, quarantined_id, kind, reason, count, verdict, $6
  FROM act JOIN removed USING (quarantined_id)
  RETURNING quarantined_id AS id, reason, count`;

/**
 * Parameters: ids, reasons, errors. Skips a body if its bytes are already quarantined for that reason: each of the two
 * has its own id, by which its sender can find it.
 */
export const UPDATE_REJECTION_REASON = `
  UPDATE quarantined_notifications AS stored
  SET reason = today.reason, errors = today.errors::json
  FROM unnest($1::uuid[], $2::text[], $3::text[]) AS today (id, reason, errors)
  WHERE stored.id = today.id AND NOT EXISTS (
    SELECT FROM quarantined_notifications AS other
    WHERE (other.kind, other.reason, other.body_digest) = (stored.kind, today.reason, stored.body_digest)
      AND other.id <> stored.id)`;

/** The scope that a cursor is bound to. */
export function cursorScopeOf(filter: QuarantineFilter): (string | null)[] {
  return [...EQUAL, ...BOUNDS].map((name) => filter[name] ?? null);
}

const EQUAL = ['reason', 'kind', 'workflow_id', 'case_id', 'callee_number'] as const;
const BOUNDS = ['received_from', 'received_to'] as const;

/** A null in a request body is the same as an absent field. */
function where(
  filter: QuarantineFilter,
  bind: Bind,
  comparison: '<' | '>',
  after: QuarantinePosition | undefined,
): string {
  const { received_from, received_to } = filter;
  const conditions = [
    ...EQUAL.filter((name) => (filter[name] ?? null) !== null).map((name) => `${name} = ${bind(filter[name])}`),
    ...(received_from ? [`first_received_at >= ${bind(parseTime(received_from))}`] : []),
    ...(received_to ? [`first_received_at < ${bind(parseTime(received_to))}`] : []),
    ...(after ? [`(first_received_at, id) ${comparison} (${bind(new Date(after[0]))}, ${bind(after[1])})`] : []),
  ];
  return toWhere(conditions);
}
