import { describeDataError } from '../../database/errors.js';
import { type FieldError, Problem } from '../../http/problem/problem.js';

/** Why a body was refused; stored with it, and the `code` of the answer. */
export const REJECTION_REASONS = [
  'not_json',
  'invalid_fields',
  'unsupported_media_type',
  'undecodable_body',
  'unstorable',
] as const;
export type RejectionReason = (typeof REJECTION_REASONS)[number];

/** A body that is no valid notification: it goes into quarantine, whole, and the sender is told why. */
export class Rejection extends Error {
  constructor(
    readonly reason: RejectionReason,
    override readonly message: string,
    readonly body: Buffer,
    readonly errors: readonly FieldError[] = [],
  ) {
    super(message);
  }
}

/** The refusal of a notification that keeps our rules, but that PostgreSQL does not take. */
export function databaseRejection(body: Buffer, error: unknown): Rejection {
  return new Rejection(
    'unstorable',
    `The database refused the content of this notification (${describeDataError(error)}).`,
    body,
  );
}

/** What the sender of a body that must be refused, but cannot be kept, is told. */
export function quarantineFullProblem(): Problem {
  return new Problem('quarantine_full', 'The notification is not valid, and the room for such ones is full.');
}
