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
];

/** Codes that say the content itself can never be stored, however often it is sent. Anything else may be our own fault. */
const UNSTORABLE = [
  '22021', // character not in repertoire
  '22P05', // untranslatable character
  '54000', // program limit exceeded: an index entry or a row too large
];

/** Codes after which the same transaction may succeed if it is simply run again. */
const RETRYABLE = new Set([
  '40001', // serialisation failure
  '40P01', // deadlock: the server chose this transaction to give way
]);

/** True if PostgreSQL could not be reached or could not serve anybody: our own trouble, never the sender's. */
export function isDatabaseUnavailable(error: unknown): boolean {
  const code = sqlStateOf(error);
  if (code !== undefined) return startsWithOneOf(code, UNAVAILABLE);
  return isConnectionError(error);
}

export function isUnstorable(error: unknown): boolean {
  return startsWithOneOf(sqlStateOf(error) ?? '', UNSTORABLE);
}

export function isRetryable(error: unknown): boolean {
  return RETRYABLE.has(sqlStateOf(error) ?? '');
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

/** Errors of the driver and the socket beneath it: the driver tells its own by nothing but their words. */
function isConnectionError(error: unknown): boolean {
  const cause = unwrap(error);
  if (cause instanceof AggregateError) return cause.errors.every(isConnectionError); // one attempt per address
  if (!(cause instanceof Error)) return false;
  if (/^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_AGAIN)/.test((cause as NodeJS.ErrnoException).code ?? ''))
    return true;
  return /timeout|terminated|connection error|SSL|not queryable|not connected|not established|already released/i.test(
    cause.message,
  );
}

function startsWithOneOf(code: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => code.startsWith(prefix));
}
