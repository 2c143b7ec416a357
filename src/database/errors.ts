import { QueryFailedError } from 'typeorm';

/**
 * SQLSTATE classes (or codes) that say the server is not to be had just now, whatever was asked of it.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const UNAVAILABLE = [
  '08', // connection exception
  '53', // insufficient resources: disk full, out of memory, too many connections
  '57', // operator intervention: shutting down, starting up, statement cancelled by its time limit
  '58', // system error outside PostgreSQL itself, such as an I/O error
  '25', // invalid transaction state: read-only on a standby, aborted by its time limit
  '28', // the server does not let this service in
  '3D000', // the database does not exist (yet)
  '42501', // the service may not write there
];

/**
 * Classes that say PostgreSQL will not take this content, however often it is sent. That the content keeps our own rules
 * does not make it the sender's: it is kept in quarantine, where it can be put right.
 */
const REFUSED = [
  '22', // data exception: a character that has no place in the encoding, a value out of range
  '23', // a constraint, which somebody has added: those of the migrations cannot be violated by content
  '54', // program limit exceeded: an index entry or a row too large
  'P0', // raised by a trigger
];

/** Classes of what a read replica answers, and the primary would not. */
const REPLICA_TROUBLE = [
  '40', // it cancelled the statement, which was in the way of what it had to replay
  '42', // it has not replayed the newest migration yet
  'XX', // its data is damaged
];

/** After these the same transaction may succeed if it is simply run again, on another connection where this one is gone. */
const RETRYABLE = new Map([
  ['40001', 'serialisation failure: another transaction changed what this one had read'],
  ['40P01', 'deadlock: the server chose this transaction to give way'],
  ['55P03', 'a lock could not be had at once'],
  ['57P01', 'the operator ended this connection; others may live'],
  ['08000', 'connection exception; the commit may have happened, and writing again is harmless'],
  ['08003', 'the connection is gone, likewise'],
  ['08006', 'the connection broke, likewise'],
]);

/** What the driver and the socket beneath it call a connection that broke under a statement, which gets no SQLSTATE. */
const BROKEN_CONNECTION =
  /^(ECONNRESET|EPIPE)$|^Connection terminated( unexpectedly)?$|Client was closed|not queryable/;

/** True if PostgreSQL could not be reached or could not serve anybody: our own trouble, never the sender's. */
export function isDatabaseUnavailable(error: unknown): boolean {
  const code = sqlStateOf(error);
  if (code !== undefined) return startsWithOneOf(code, UNAVAILABLE);
  return isConnectionError(error);
}

/**
 * True if PostgreSQL answered, and what failed may be what was asked of it: less at once may succeed. That it took too long or
 * too much memory may be due to one row as well as to PostgreSQL.
 */
export function isPossiblyDataError(error: unknown): boolean {
  const code = sqlStateOf(error);
  if (code === undefined) return false;
  return code === '57014' || code === '53200' || !startsWithOneOf(code, UNAVAILABLE);
}

/** True if PostgreSQL answers, but the name, the password or the database that it was asked for is wrong. */
export function isMisconfiguration(error: unknown): boolean {
  return startsWithOneOf(sqlStateOf(error) ?? '', ['28', '3D000']);
}

/** True if a delivery was not written because an erasure was decided that its writer does not know. Migration 4 raises it. */
export function isErasureUnknown(error: unknown): boolean {
  return sqlStateOf(error) === 'AR001';
}

export function isDataError(error: unknown): boolean {
  return startsWithOneOf(sqlStateOf(error) ?? '', REFUSED);
}

/** True if a read that failed on a replica may succeed on the primary. One that took too long would do so there too. */
export function isReplicaUnavailable(error: unknown): boolean {
  const code = sqlStateOf(error) ?? '';
  return code !== '57014' && (isDatabaseUnavailable(error) || startsWithOneOf(code, REPLICA_TROUBLE));
}

export function isRetryable(error: unknown): boolean {
  const code = sqlStateOf(error);
  if (code !== undefined) return RETRYABLE.has(code);
  const cause = unwrap(error);
  return cause instanceof Error && BROKEN_CONNECTION.test((cause as NodeJS.ErrnoException).code ?? cause.message);
}

/** What PostgreSQL calls its refusal, without the values that its own message repeats. */
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
 * An error in words that may be logged. PostgreSQL's messages and details repeat values (`Key (callee_number)=(…)`), as
 * do the parser's, so of those only the code and the place are told; stacks are of our own making and carry none.
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

/** The five characters that PostgreSQL gives with every error of its own; undefined for any other error. */
function sqlStateOf(error: unknown): string | undefined {
  const cause = unwrap(error);
  if (!(cause instanceof Error) || !('code' in cause) || !('severity' in cause)) return undefined;
  return typeof cause.code === 'string' ? cause.code : undefined;
}

/** Of the operating system, and of TLS; not those by which Node.js tells a fault of ours (`ERR_…`). */
const CONNECTION_CODES = /^(E(?!RR_)[A-Z]+|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_(TLS|SSL)_)/;

/** Errors of the driver and the socket beneath it: the driver tells its own by nothing but their words. */
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
