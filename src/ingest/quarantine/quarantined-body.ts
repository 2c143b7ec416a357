import { createHash } from 'node:crypto';
import type { QuarantinedNotificationEntity } from '../../database/entities.js';
import { readIds, type Receipt } from '../notification/notification.js';
import type { Rejection } from '../notification/rejection.js';

/** The row of a rejected body. */
export type RejectedBody = Omit<QuarantinedNotificationEntity, 'errors'> & { readonly errors: string };

/** Identifies the row of equal bytes with the same reason. */
export type BodyKey = Pick<QuarantinedNotificationEntity, 'kind' | 'reason' | 'body_digest'>;

/** Builds the row of a rejected body that was received once. */
export function toRejectedBody({ id, kind, receivedAt }: Receipt, rejection: Rejection): RejectedBody {
  return {
    id,
    kind,
    reason: rejection.reason,
    errors: JSON.stringify(errorsOf(rejection)),
    body: rejection.body,
    body_digest: createHash('sha256').update(rejection.body).digest(),
    count: 1,
    first_received_at: receivedAt,
    last_received_at: receivedAt,
    ...readIds(rejection.body),
  };
}

/** The errors of a rejection. Without a field error the message applies to the whole body. */
export function errorsOf({ errors, message }: Rejection): Rejection['errors'] {
  return errors.length > 0 ? errors : [{ path: '', message }];
}

/** The key as text, for maps. */
export function keyOf({ kind, reason, body_digest }: BodyKey): string {
  return `${kind} ${reason} ${body_digest.toString('hex')}`;
}

/** Merges bodies with the same key into one row that counts their deliveries. */
export function mergeEqual(bodies: readonly RejectedBody[]): Map<string, RejectedBody> {
  const merged = new Map<string, RejectedBody>();
  for (const body of bodies.toSorted((a, b) => a.first_received_at.getTime() - b.first_received_at.getTime())) {
    const key = keyOf(body);
    const first = merged.get(key) ?? { ...body, count: 0 };
    merged.set(key, { ...first, count: first.count + 1, last_received_at: body.last_received_at });
  }
  return merged;
}
