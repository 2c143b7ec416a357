import { HttpException } from '@nestjs/common';

/** One thing that is wrong in a request: `path` says where (`rows[1].node_type`, empty for the whole), `message` what. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

/**
 * Every way in which a request can fail: HTTP status, title, and for the page that `type` leads to what it means and what
 * to do. A code is a promise to clients: it may be added, never renamed.
 */
export const PROBLEMS = {
  invalid_request: [
    400,
    'Invalid request',
    'A parameter, or a field of the body, is missing, malformed or unknown; `errors` names each one.',
    'Mend what `errors` names. /docs has every parameter and field with its rule.',
  ],
  invalid_cursor: [
    400,
    'Invalid cursor',
    'The cursor was altered, or made for other filters.',
    'Pass `next_cursor` as it came, with the filters of the list it came from, or start again without one.',
  ],
  not_json: [
    400,
    'Not JSON',
    'The body is not a JSON text in UTF-8.',
    'Look at how the body is made: it may be cut off, or in another encoding. A notification is kept in quarantine.',
  ],
  invalid_fields: [
    400,
    'Invalid notification',
    'A field is missing or is not what the provider documents; `errors` names each one.',
    'Nothing is lost: the notification is kept in quarantine, as it came. Mend what `errors` names, and send it anew.',
  ],
  undecodable_body: [
    400,
    'Undecodable body',
    'The body is not in the coding that Content-Encoding names.',
    'Compress the body as Content-Encoding says, or leave out the header. A notification is kept in quarantine.',
  ],
  unstorable: [
    400,
    'Unstorable notification',
    'The database refused the content itself.',
    'Nothing is lost: the notification is kept in quarantine, as it came. Ask whoever runs this service to look at it.',
  ],
  incomplete_body: [
    400,
    'Incomplete body',
    'The connection ended before the whole body arrived. Nothing was kept.',
    'Send it again. If it happens often, look at time limits of what stands between.',
  ],
  unauthorized: [
    401,
    'Unauthorized',
    'The request carries no API key, or one that is not known.',
    'Send `Authorization: Bearer <key>`, with a key from whoever runs this service. The webhook token is no API key.',
  ],
  insufficient_scope: [
    403,
    'Insufficient scope',
    'The API key is known, but lacks the scope that this endpoint needs.',
    'Ask whoever runs this service for a key with that scope. /docs tells the scope of each endpoint.',
  ],
  not_found: [
    404,
    'Not found',
    'There is nothing at this address. A wrong webhook token and an unknown kind get this answer too.',
    'Compare the address with /docs, and an id with the answer that it came from. At the webhook check the token.',
  ],
  cursor_expired: [
    410,
    'Cursor expired',
    'Events of the change feed that come behind this cursor were removed for their age: going on would skip them.',
    'Take a cursor with `from=now`, mirror the cases anew by their list or export, then follow the feed with that cursor.',
  ],
  method_not_allowed: [
    405,
    'Method not allowed',
    'There is something at this address, but not for this method.',
    'Use one of the methods in the header Allow.',
  ],
  not_acceptable: [
    406,
    'Not acceptable',
    'The header Accept rules out every content type that this endpoint answers with.',
    'Add to Accept a content type that `detail` names, or leave out the header.',
  ],
  not_seen: [
    404,
    'Not seen',
    'Asked with `strict`: nothing was received of some of the cases; `errors` names each one.',
    'Ask again later, or with `Prefer: wait=60` to wait for them, or without `strict` to be told of the others.',
  ],
  body_too_large: [
    413,
    'Body too large',
    'The body is larger than is accepted here, before or after decompression. Nothing was kept.',
    'Send less at once. For notifications the limit is the setting BODY_LIMIT_BYTES.',
  ],
  unsupported_media_type: [
    415,
    'Unsupported media type',
    'The body is not JSON by its Content-Type, or its Content-Encoding is not known.',
    'Send `Content-Type: application/json`, and the body as it is or in gzip, deflate or br. A notification is kept in quarantine.',
  ],
  too_many_requests: [
    429,
    'Too many requests',
    'This API key or address asked too often within a minute, or sent too many wrong tokens or keys.',
    'Wait as many seconds as the header Retry-After says. RateLimit and RateLimit-Policy tell how much is left of what.',
  ],
  malformed_request: [
    400,
    'Malformed request',
    'What came is not HTTP/1.1, or lacks the header Host. The connection is closed.',
    'Look at the client, or at what stands between: it sends what no HTTP server understands.',
  ],
  request_timeout: [
    408,
    'Request timeout',
    'The request did not arrive whole in time: its head within 10 seconds, all of it within 15. Nothing was kept.',
    'Send it again, faster. If it happens often, look at the network and at what stands between.',
  ],
  expectation_failed: [
    417,
    'Expectation failed',
    'The header Expect asks for something other than `100-continue`.',
    'Leave out the header Expect.',
  ],
  headers_too_large: [
    431,
    'Headers too large',
    'The address and the headers together have more than 16 KiB.',
    'Ask for less in one address: `POST /v1/cases/lookup` takes many cases in its body. Look at what stands between, too.',
  ],
  internal_error: [
    500,
    'Internal error',
    'A fault of this service.',
    'Tell whoever runs this service the `request_id`: it leads to the log.',
  ],
  quarantine_full: [
    503,
    'Quarantine full',
    'The notification is not valid, and there is no room to keep it for whoever runs this service to look at. It was not kept.',
    'Valid notifications are accepted as ever. Whoever runs this service has to replay or discard what is in quarantine, or ' +
      'raise QUARANTINE_MAX_ROWS or QUARANTINE_MAX_BYTES.',
  ],
  service_unavailable: [
    503,
    'Service unavailable',
    'The service cannot do its work just now, or is being stopped. A notification was not kept.',
    'Send it again after as many seconds as the header Retry-After says.',
  ],
} as const satisfies Record<string, readonly [status: number, title: string, meaning: string, remedy: string]>;

export type ProblemCode = keyof typeof PROBLEMS;

const RETRYABLE: ReadonlySet<ProblemCode> = new Set(['incomplete_body', 'request_timeout', 'too_many_requests']);

/** Whether the very same request may fare better later. Every other problem comes of the request itself. */
export function isRetryable(code: ProblemCode): boolean {
  return PROBLEMS[code][0] >= 500 || RETRYABLE.has(code);
}

/** A failure that the client is told of as RFC 9457 problem details. A cause is only logged. */
export class Problem extends HttpException {
  constructor(
    readonly code: ProblemCode,
    readonly detail: string,
    readonly errors?: readonly FieldError[],
    cause?: unknown,
  ) {
    super(detail, PROBLEMS[code][0], { cause });
  }
}
