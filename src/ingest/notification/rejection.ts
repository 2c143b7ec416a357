import { describeDataError } from '../../database/errors.js';
import { type FieldError, Problem } from '../../http/problem/problem.js';

/** Reasons for rejecting a body. Stored with the body, and the `code` of the response. */
export const REJECTION_REASONS = [
  'not_json',
  'invalid_fields',
  'unsupported_media_type',
  'undecodable_body',
  'unstorable',
] as const;
export type RejectionReason = (typeof REJECTION_REASONS)[number];

/** A body that is no valid notification, with the reason. The quarantine stores it, and the response repeats the reason. */
export class Rejection {
  constructor(
    readonly reason: RejectionReason,
    readonly message: string,
    readonly body: Buffer,
    readonly errors: readonly FieldError[] = [],
  ) {}
}

/** Rejects a notification that is valid by the rules of this service, but that PostgreSQL does not accept. */
export function databaseRejection(body: Buffer, error: unknown): Rejection {
  return new Rejection(
    'unstorable',
    `The database rejected the content of this notification (${describeDataError(error)}).`,
    body,
  );
}

/** The response to an invalid notification if the quarantine has no space left. */
export function quarantineFullProblem(): Problem {
  return new Problem('quarantine_full', 'The notification is invalid, and the quarantine is full.');
}
