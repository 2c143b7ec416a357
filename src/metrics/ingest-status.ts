/** `ok` accepts notifications, `full` has no space left, `unwritable` has a disk that accepts no writes. */
export type SpoolCondition = 'ok' | 'full' | 'unwritable';

export interface IngestStatusReport {
  /** A notification that arrives now is accepted. */
  readonly isAccepting: boolean;
  /** PostgreSQL does not answer in time, and notifications go to the spool. */
  readonly isSpooling: boolean;
  /** Notifications between their first byte and their answer, and the bytes of their bodies. */
  readonly waiting: { readonly notifications: number; readonly bytes: number };
  readonly spool: {
    readonly condition: SpoolCondition;
    readonly notifications: number;
    readonly bytes: number;
    readonly maxBytes: number;
  };
  /** `full` has no space for another body of the maximum size; `unknown` until PostgreSQL answers once. */
  readonly quarantine: 'ok' | 'full' | 'unknown';
}

/** The state of the ingest path, for readers that must not depend on `ingest`. */
export abstract class IngestStatus {
  abstract read(): IngestStatusReport;

  /** Asks PostgreSQL how full the quarantine is. If PostgreSQL does not answer, the last report stays. */
  abstract refreshQuarantine(): Promise<void>;
}
