import { Injectable } from '@nestjs/common';

/** What can be said of the spool: it takes notifications, or has no room left, or its disk takes nothing. */
export type SpoolCondition = 'ok' | 'full' | 'unwritable';

/** How the door stands. */
export interface IngestStatusReport {
  /** Whether a notification that came now would be accepted. */
  readonly isAccepting: boolean;
  /** Whether notifications go to the spool, because PostgreSQL does not answer in time. */
  readonly isSpooling: boolean;
  /** Notifications between their first byte and their answer, and the bytes of their bodies. */
  readonly waiting: { readonly notifications: number; readonly bytes: number };
  readonly spool: {
    readonly condition: SpoolCondition;
    readonly notifications: number;
    readonly bytes: number;
    readonly maxBytes: number;
  };
}

/** Where the door says how it stands, and health and metrics read it: so that they need not know the door. */
@Injectable()
export class IngestStatus {
  read: () => IngestStatusReport = () => ({
    isAccepting: false,
    isSpooling: false,
    waiting: { notifications: 0, bytes: 0 },
    spool: { condition: 'ok', notifications: 0, bytes: 0, maxBytes: 0 },
  });
}
