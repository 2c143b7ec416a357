import { type Bind, buildQuery, type ParameterizedQuery, toWhere } from '../../database/sql.js';
import { parseTime } from '../../http/rest/time.js';
import type { QuarantineFilter } from './quarantine.dto.js';

/** Refused bodies go by their first receipt: time in milliseconds, then id. */
export type QuarantinePosition = readonly [firstReceivedAtMs: number, id: string];

const LISTED = `
  id, reason, errors, count, first_received_at, last_received_at, kind, workflow_id, case_id, callee_number`;

/**
 * A page of those that match, newest first. Along ix_quarantined_notifications_received, or of one reason along
 * ix_quarantined_notifications_reason; those of a case or number are few (_case, _callee), and sorted.
 */
export function listStatement(
  filter: QuarantineFilter,
  behind: QuarantinePosition | undefined,
  limit: number,
): ParameterizedQuery {
  return buildQuery(
    (bind) => `
    SELECT ${LISTED} FROM quarantined_notifications
    ${where(filter, bind, '<', behind)}
    ORDER BY first_received_at DESC, id DESC
    LIMIT ${bind(limit)}`,
  );
}

/** By pk_quarantined_notifications. */
export const GET_QUARANTINED = `SELECT ${LISTED}, body FROM quarantined_notifications WHERE id = $1`;

/** By pk_quarantine_actions, newest first. */
export const LIST_ACTIONS = `SELECT * FROM quarantine_actions WHERE id < $1 ORDER BY id DESC LIMIT $2`;

/** Enough for one batch of the writer; one body more may be as large as the door lets in. */
const MAX_BATCH_BYTES = 4 * 2 ** 20;

const REPLAYED = 'id, kind, reason, errors, first_received_at, body, body_digest';

/** The next of those that match, oldest first, as many as are replayed together. Along the same indexes. */
export function batchStatement(
  filter: QuarantineFilter,
  behind: QuarantinePosition | undefined,
  limit: number,
): ParameterizedQuery {
  return buildQuery(
    (bind) => `
    SELECT ${REPLAYED} FROM (
      SELECT *, sum(octet_length(body)) OVER (ORDER BY first_received_at, id) - octet_length(body) AS bytes_before
      FROM (
        SELECT ${REPLAYED} FROM quarantined_notifications
        ${where(filter, bind, '>', behind)}
        ORDER BY first_received_at, id
        LIMIT ${bind(limit)}) AS nearest) AS sized
    WHERE bytes_before < ${MAX_BATCH_BYTES}
    ORDER BY first_received_at, id`,
  );
}

/** As `batchStatement`, of one. */
export const GET_BATCH_OF_ONE = `SELECT ${REPLAYED} FROM quarantined_notifications WHERE id = $1`;

/** The next of those that match, oldest first, without their bodies. Along the same indexes. */
export function findStatement(
  filter: QuarantineFilter,
  behind: QuarantinePosition | undefined,
  limit: number,
): ParameterizedQuery {
  return buildQuery(
    (bind) => `
    SELECT id, reason, count, first_received_at FROM quarantined_notifications
    ${where(filter, bind, '>', behind)}
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
 * Parameters: ids of refused bodies, ids of the records, verdicts; who, which action, and why. What is recorded is what was removed:
 * a delivery that was counted until that moment is in it.
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
 * Parameters: ids, reasons, errors. Not where the same bytes are there for that reason already: each of the two was answered with
 * its own id, and both must be found.
 */
export const UPDATE_REJECTION_REASON = `
  UPDATE quarantined_notifications AS stored
  SET reason = today.reason, errors = today.errors::json
  FROM unnest($1::uuid[], $2::text[], $3::text[]) AS today (id, reason, errors)
  WHERE stored.id = today.id AND NOT EXISTS (
    SELECT FROM quarantined_notifications AS other
    WHERE (other.kind, other.reason, other.body_digest) = (stored.kind, today.reason, stored.body_digest)
      AND other.id <> stored.id)`;

/** What a cursor is bound to. */
export function cursorScopeOf(filter: QuarantineFilter): (string | null)[] {
  return [...EQUAL, ...BOUNDS].map((name) => filter[name] ?? null);
}

const EQUAL = ['reason', 'kind', 'workflow_id', 'case_id', 'callee_number'] as const;
const BOUNDS = ['received_from', 'received_to'] as const;

/** In a body null is as good as nothing. */
function where(filter: QuarantineFilter, bind: Bind, side: '<' | '>', behind: QuarantinePosition | undefined): string {
  const { received_from, received_to } = filter;
  const conditions = [
    ...EQUAL.filter((name) => (filter[name] ?? null) !== null).map((name) => `${name} = ${bind(filter[name])}`),
    ...(received_from ? [`first_received_at >= ${bind(parseTime(received_from))}`] : []),
    ...(received_to ? [`first_received_at < ${bind(parseTime(received_to))}`] : []),
    ...(behind ? [`(first_received_at, id) ${side} (${bind(new Date(behind[0]))}, ${bind(behind[1])})`] : []),
  ];
  return toWhere(conditions);
}
