import { HttpException } from '@nestjs/common';

/** One invalid part of a request. */
export interface FieldError {
  /** Where: `rows[1].node_type`; empty for the whole request. */
  readonly path: string;
  /** The rule that the value breaks. */
  readonly message: string;
}

interface ProblemType {
  readonly status: number;
  readonly title: string;
  /** Explains the problem on the page that `type` links to. */
  readonly meaning: string;
  /** Tells the reader of that page the next step. */
  readonly remedy: string;
}

/** Every way in which a request can fail. A code is a promise to clients: codes are added, never renamed. */
export const PROBLEMS = {
  invalid_request: {
    status: 400,
    title: 'Invalid request',
    meaning: 'A parameter or a field of the body is missing, malformed or unknown. `errors` names each one.',
    remedy: 'Fix the fields listed in `errors`. /docs describes every parameter and field.',
  },
  invalid_cursor: {
    status: 400,
    title: 'Invalid cursor',
    meaning: 'The cursor was altered, or belongs to a list with other filters.',
    remedy: 'Pass `next_cursor` unchanged, with the same filters. Or start again without a cursor.',
  },
  not_json: {
    status: 400,
    title: 'Not JSON',
    meaning: 'The body is not JSON text in UTF-8.',
    remedy:
      'Check how the client builds the body. It may be truncated or in another encoding. A notification is stored in ' +
      'quarantine.',
  },
  invalid_fields: {
    status: 400,
    title: 'Invalid notification',
    meaning: 'A field is missing or breaks the rules that the provider documents. `errors` names each one.',
    remedy: 'Nothing is lost: the quarantine stores the notification as received. Fix the fields and resend it.',
  },
  undecodable_body: {
    status: 400,
    title: 'Undecodable body',
    meaning: 'The body does not match its Content-Encoding.',
    remedy: 'Encode the body as Content-Encoding says, or omit the header. A notification is stored in quarantine.',
  },
  unstorable: {
    status: 400,
    title: 'Unstorable notification',
    meaning: 'The database rejects the content of the notification.',
    remedy:
      'Nothing is lost: the quarantine stores the notification as received. Ask the service operator to inspect it.',
  },
  incomplete_body: {
    status: 400,
    title: 'Incomplete body',
    meaning: 'The connection closed before the whole body arrived. Nothing is stored.',
    remedy: 'Send it again. If it happens often, check the timeouts of the proxies in between.',
  },
  unauthorized: {
    status: 401,
    title: 'Unauthorized',
    meaning: 'The request has no API key, or an unknown one.',
    remedy:
      'Send `Authorization: Bearer <key>` with a key from the service operator. The webhook token is not an API key.',
  },
  insufficient_scope: {
    status: 403,
    title: 'Insufficient scope',
    meaning: 'The API key lacks the scope that this endpoint needs.',
    remedy: 'Ask the service operator for a key with that scope. /docs lists the scope of each endpoint.',
  },
  not_found: {
    status: 404,
    title: 'Not found',
    meaning: 'The path or the id does not exist. A wrong webhook token and an unknown kind get the same answer.',
    remedy:
      'Compare the path with /docs, and the id with the response that it came from. At the webhook, check the token.',
  },
  cursor_expired: {
    status: 410,
    title: 'Cursor expired',
    meaning: 'Retention removed events of the change feed after this cursor. Continuing would skip them.',
    remedy: 'Get a cursor with `from=now`, copy the cases by list or export, then follow the feed from that cursor.',
  },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    meaning: 'The path exists, but not with this method.',
    remedy: 'Use a method from the Allow header.',
  },
  not_acceptable: {
    status: 406,
    title: 'Not acceptable',
    meaning: 'The Accept header excludes every content type of this endpoint.',
    remedy: 'Add a content type from `detail` to Accept, or omit the header.',
  },
  not_seen: {
    status: 404,
    title: 'Not seen',
    meaning: 'The request has `strict`, and no notification of some cases has arrived. `errors` names each one.',
    remedy: 'Ask again later, wait with `Prefer: wait=60`, or omit `strict` to get the other cases.',
  },
  body_too_large: {
    status: 413,
    title: 'Body too large',
    meaning: 'The body exceeds the limit before or after decompression. Nothing is stored.',
    remedy: 'Send less at once. BODY_LIMIT_BYTES sets the limit for notifications.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    meaning: 'The Content-Type is not JSON, or the Content-Encoding is unknown.',
    remedy:
      'Send `Content-Type: application/json`, without encoding or with gzip, deflate or br. A notification is stored in ' +
      'quarantine.',
  },
  too_many_requests: {
    status: 429,
    title: 'Too many requests',
    meaning: 'This API key or address exceeds its requests per minute, or sends too many wrong tokens or keys.',
    remedy: 'Wait for the seconds in Retry-After. RateLimit and RateLimit-Policy show the remaining requests.',
  },
  malformed_request: {
    status: 400,
    title: 'Malformed request',
    meaning: 'The request is not HTTP/1.1, or lacks the Host header. The server closes the connection.',
    remedy: 'Check the client and the proxies in between: they send invalid HTTP.',
  },
  request_timeout: {
    status: 408,
    title: 'Request timeout',
    meaning: 'The headers took more than 10 seconds, or the whole request more than 15. Nothing is stored.',
    remedy: 'Send it again. If it happens often, check the network and the proxies in between.',
  },
  expectation_failed: {
    status: 417,
    title: 'Expectation failed',
    meaning: 'The Expect header has a value other than `100-continue`.',
    remedy: 'Omit the Expect header.',
  },
  headers_too_large: {
    status: 431,
    title: 'Headers too large',
    meaning: 'The address and the headers together exceed 16 KiB.',
    remedy:
      'Shorten the address: `POST /v1/cases/lookup` takes many cases in its body. Check the proxies in between, too.',
  },
  internal_error: {
    status: 500,
    title: 'Internal error',
    meaning: 'The service has a fault.',
    remedy: 'Report the `request_id` to the service operator, who finds it in the log.',
  },
  quarantine_full: {
    status: 503,
    title: 'Quarantine full',
    meaning: 'The notification is invalid, and the quarantine has no space for it. It is not stored.',
    remedy:
      'Valid notifications are still accepted. The service operator replays or discards the quarantine, or raises ' +
      'QUARANTINE_MAX_ROWS or QUARANTINE_MAX_BYTES.',
  },
  service_unavailable: {
    status: 503,
    title: 'Service unavailable',
    meaning: 'The service cannot handle the request now, or is shutting down. A notification is not stored.',
    remedy: 'Send it again after the seconds in Retry-After.',
  },
} as const satisfies Record<string, ProblemType>;

export type ProblemCode = keyof typeof PROBLEMS;

const RETRYABLE: ReadonlySet<ProblemCode> = new Set(['incomplete_body', 'request_timeout', 'too_many_requests']);

/** The same request may succeed later. Every other problem is in the request itself. */
export function isRetryable(code: ProblemCode): boolean {
  return PROBLEMS[code].status >= 500 || RETRYABLE.has(code);
}

/** A failure that the client gets as RFC 9457 problem details. Its cause is only logged. */
export class Problem extends HttpException {
  constructor(
    readonly code: ProblemCode,
    readonly detail: string,
    readonly errors?: readonly FieldError[],
    cause?: unknown,
  ) {
    super(detail, PROBLEMS[code].status, { cause });
  }
}
