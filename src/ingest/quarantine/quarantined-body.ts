import { createHash } from 'node:crypto';
import type { QuarantinedNotificationEntity } from '../../database/entities.js';
import { readIds, type Receipt } from '../notification/notification.js';
import type { Rejection } from '../notification/rejection.js';

/** A refused body as its row will be. */
export type RejectedBody = Omit<QuarantinedNotificationEntity, 'errors'> & { readonly errors: string };

export type BodyKey = Pick<QuarantinedNotificationEntity, 'kind' | 'reason' | 'body_digest'>;

export function toRejectedBody({ id, kind, receivedAt }: Receipt, refusal: Rejection): RejectedBody {
  return {
    id,
    kind,
    reason: refusal.reason,
    errors: JSON.stringify(errorsOf(refusal)),
    body: refusal.body,
    body_digest: createHash('sha256').update(refusal.body).digest(),
    count: 1,
    first_received_at: receivedAt,
    last_received_at: receivedAt,
    ...readIds(refusal.body),
  };
}

/** What was wrong where; what has no place is wrong with the whole. */
export function errorsOf({ errors, message }: Rejection): Rejection['errors'] {
  return errors.length > 0 ? errors : [{ path: '', message }];
}

/** Equal bytes refused for the same reason are one row, and have one key. */
export function keyOf({ kind, reason, body_digest }: BodyKey): string {
  return `${kind} ${reason} ${body_digest.toString('hex')}`;
}

/** One of each, with all its deliveries counted, by its key. */
export function mergeEqual(refused: readonly RejectedBody[]): Map<string, RejectedBody> {
  const merged = new Map<string, RejectedBody>();
  for (const body of refused.toSorted((a, b) => a.first_received_at.getTime() - b.first_received_at.getTime())) {
    const key = keyOf(body);
    const first = merged.get(key) ?? { ...body, count: 0 };
    merged.set(key, { ...first, count: first.count + 1, last_received_at: body.last_received_at });
  }
  return merged;
}
