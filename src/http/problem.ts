import { HttpException } from '@nestjs/common';

/** One thing that is wrong in a request: `path` says where (`rows[1].node_type`, empty for the whole), `message` what. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

/**
 * Every way in which a request can fail: HTTP status, title, and an explanation for the page that `type` leads to.
 * A code is a promise to clients: it may be added, never renamed.
 */
export const PROBLEMS = {
  invalid_request: [400, 'Invalid request', 'A parameter is missing, malformed or unknown; `errors` names each one.'],
  invalid_cursor: [
    400,
    'Invalid cursor',
    'The cursor was altered, or made for other filters. Start again without one.',
  ],
  not_json: [400, 'Not JSON', 'The body is not a JSON text in UTF-8. The bytes are kept in quarantine.'],
  invalid_fields: [
    400,
    'Invalid notification',
    'A field is missing or is not what the provider documents; `errors` names each one. The bytes are kept in quarantine.',
  ],
  undecodable_body: [
    400,
    'Undecodable body',
    'The body is not in the coding that Content-Encoding names. The bytes are kept in quarantine.',
  ],
  unstorable: [
    400,
    'Unstorable notification',
    'The database refused the content itself. The bytes are kept in quarantine.',
  ],
  incomplete_body: [400, 'Incomplete body', 'The connection ended before the whole body arrived. Nothing was kept.'],
  unauthorized: [401, 'Unauthorized', 'The request carries no API key, or one that is not known.'],
  insufficient_scope: [
    403,
    'Insufficient scope',
    'The API key is known, but lacks the scope that this endpoint needs.',
  ],
  not_found: [
    404,
    'Not found',
    'There is nothing at this address. A wrong webhook token and an unknown kind get this answer too.',
  ],
  not_seen: [
    404,
    'Not seen',
    'Asked with `strict`: nothing was received of some of the cases; `errors` names each one.',
  ],
  body_too_large: [
    413,
    'Body too large',
    'The body is larger than BODY_LIMIT_BYTES, before or after decompression. Nothing was kept.',
  ],
  unsupported_media_type: [
    415,
    'Unsupported media type',
    'The body is not JSON by its Content-Type, or its Content-Encoding is not known. The bytes are kept in quarantine.',
  ],
  internal_error: [500, 'Internal error', 'A fault of this service. The request id leads to its log.'],
  service_unavailable: [
    503,
    'Service unavailable',
    'The service cannot do its work just now, or is being stopped. A notification was not kept. Try again after Retry-After seconds.',
  ],
} as const satisfies Record<string, readonly [status: number, title: string, explanation: string]>;

export type ProblemCode = keyof typeof PROBLEMS;

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
