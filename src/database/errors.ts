import { QueryFailedError } from 'typeorm';

/**
 * SQLSTATE classes (or codes) of an unavailable server, whatever the statement.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const UNAVAILABLE = [
  '08', // connection exception
  '53', // insufficient resources: disk full, out of memory, too many connections
  '57', // operator intervention: shutting down, starting up, statement cancelled by its time limit
  '58', // system error outside PostgreSQL itself, such as an I/O error
  '25', // invalid transaction state: read-only on a standby, aborted by its time limit
  '28', // authentication failed
  '3D000', // the database does not exist (yet)
  '42501', // the service may not write there
];

/**
 * Classes of a permanent rejection of the content. The content may still follow the rules of this service, so
 * quarantine stores it until an operator solves the problem.
 */
const REFUSED = [
  '22', // data exception: a character that has no place in the encoding, a value out of range
  '23', // a constraint that an operator added: content cannot violate those of the migrations
  '54', // program limit exceeded: an index entry or a row too large
  'P0', // raised by a trigger
];

/** Classes of errors that only a read replica returns. */
const REPLICA_TROUBLE = [
  '40', // the replica cancelled a statement that conflicted with replay
  '42', // the replica has not replayed the newest migration yet
  'XX', // the data of the replica is damaged
];

/** Transient errors: a retry of the transaction may succeed, on another connection if this one is lost. */
const RETRYABLE = new Map([
  ['40001', 'serialisation failure: another transaction changed what this one had read'],
  ['40P01', 'deadlock: the server chose this transaction to give way'],
  ['55P03', 'a lock was not available at once'],
  ['57P01', 'the operator terminated this connection; others may work'],
  ['08000', 'connection exception; the commit may have happened, and writing again is harmless'],
  ['08003', 'the connection is lost, likewise'],
  ['08006', 'the connection broke, likewise'],
]);

/** Codes and messages of the driver and the socket if a connection breaks during a statement; there is no SQLSTATE. */
const BROKEN_CONNECTION =
  /^(ECONNRESET|EPIPE)$|^Connection terminated( unexpectedly)?$|Client was closed|not queryable/;

/** True if PostgreSQL is unreachable or serves no client: a fault of the service, never of the sender. */
export function isDatabaseUnavailable(error: unknown): boolean {
  const code = sqlStateOf(error);
  if (code !== undefined) return startsWithOneOf(code, UNAVAILABLE);
  return isConnectionError(error);
}

/**
 * True if PostgreSQL answered and the statement itself may be the cause, so a smaller batch may succeed. A timeout or a
 * lack of memory may be due to one row as well as to PostgreSQL.
 */
export function isPossiblyDataError(error: unknown): boolean {
  const code = sqlStateOf(error);
  if (code === undefined) return false;
  return code === '57014' || code === '53200' || !startsWithOneOf(code, UNAVAILABLE);
}

/** True if PostgreSQL answers, but the user, the password or the database is wrong. */
export function isMisconfiguration(error: unknown): boolean {
  return startsWithOneOf(sqlStateOf(error) ?? '', ['28', '3D000']);
}

/** True if the writer of a delivery has not loaded the newest erasure. Migration 4 raises the error. */
export function isErasureUnknown(error: unknown): boolean {
  return sqlStateOf(error) === 'AR001';
}

/** True if PostgreSQL permanently rejects the content. */
export function isDataError(error: unknown): boolean {
  return startsWithOneOf(sqlStateOf(error) ?? '', REFUSED);
}

/**
 * True if a read that failed on a replica may succeed on the primary. A read that timed out would time out there too.
 */
export function isReplicaUnavailable(error: unknown): boolean {
  const code = sqlStateOf(error) ?? '';
  return code !== '57014' && (isDatabaseUnavailable(error) || startsWithOneOf(code, REPLICA_TROUBLE));
}

/** True if a retry of the transaction may succeed. */
export function isRetryable(error: unknown): boolean {
  const code = sqlStateOf(error);
  if (code !== undefined) return RETRYABLE.has(code);
  const cause = unwrap(error);
  return cause instanceof Error && BROKEN_CONNECTION.test((cause as NodeJS.ErrnoException).code ?? cause.message);
}

/** Describes a rejection by PostgreSQL without the values that its message repeats. */
export function describeDataError(error: unknown): string {
  const { code, table, constraint } = describeError(error);
  const place = [table && `table ${table}`, constraint && `constraint ${constraint}`].filter(Boolean);
  return [`SQLSTATE ${code}`, ...place].join(', ');
}

interface ErrorDescription {
  readonly name: string;
  readonly code?: string | undefined;
  readonly table?: string | undefined;
  readonly constraint?: string | undefined;
  readonly routine?: string | undefined;
  readonly stack?: readonly string[] | undefined;
}

/**
 * Describes an error for the log. Messages of PostgreSQL and of parsers repeat values (`Key (callee_number)=(…)`), so
 * only code and location are included. Stack frames contain no values.
 */
export function describeError(error: unknown): ErrorDescription {
  const cause = unwrap(error);
  const code = sqlStateOf(error);
  if (code !== undefined) {
    const { table, constraint, routine } = cause as { table?: string; constraint?: string; routine?: string };
    return { name: 'PostgresError', code, table, constraint, routine };
  }
  if (!(cause instanceof Error)) return { name: typeof cause };
  const { name, stack } = cause;
  const frames = stack?.split('\n').filter((line) => /^\s+at /.test(line));
  return { name, code: (cause as NodeJS.ErrnoException).code, stack: frames?.slice(0, 6).map((line) => line.trim()) };
}

function unwrap(error: unknown): unknown {
  return error instanceof QueryFailedError ? error.driverError : error;
}

/** Returns the SQLSTATE of an error of PostgreSQL; undefined for any other error. */
function sqlStateOf(error: unknown): string | undefined {
  const cause = unwrap(error);
  if (!(cause instanceof Error) || !('code' in cause) || !('severity' in cause)) return undefined;
  return typeof cause.code === 'string' ? cause.code : undefined;
}

/** Codes of the operating system and of TLS, without the `ERR_…` codes of programming errors. */
const CONNECTION_CODES = /^(E(?!RR_)[A-Z]+|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_(TLS|SSL)_)/;

/** True for errors of the driver and the socket. Those of the driver are only recognisable by their messages. */
function isConnectionError(error: unknown): boolean {
  const cause = unwrap(error);
  if (cause instanceof AggregateError) return cause.errors.every(isConnectionError); // one attempt per address
  if (!(cause instanceof Error)) return false;
  if (CONNECTION_CODES.test((cause as NodeJS.ErrnoException).code ?? '')) return true;
  return /timeout|terminated|connection error|SSL|not queryable|not connected|not (yet )?established|already released|after calling end/i.test(
    cause.message,
  );
}

function startsWithOneOf(code: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => code.startsWith(prefix));
}
