import { Injectable } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IngestStatus } from '../../metrics/ingest-status.js';

/** The freshness of a response: an acknowledged notification may still wait on disk. */
export class IngestionResponse {
  @ApiProperty({
    type: String,
    nullable: true,
    format: 'date-time',
    description: 'When the newest notification in the database was received; null if there is none.',
    example: '2026-01-31T09:30:00.000Z',
  })
  last_notification_at: string | null;

  @ApiProperty({
    description:
      'True if this service has acknowledged notifications that wait on its disk for PostgreSQL, or accepts none: a case ' +
      'that is not seen may have been received.',
    example: false,
  })
  degraded: boolean;
}

/** Describes how fresh the data of a response is. */
@Injectable()
export class IngestFreshness {
  constructor(private readonly ingest: IngestStatus) {}

  /**
   * Captures the state of the spool. Call it before the statement: the spool may be drained between the two.
   *
   * @returns completes the description with the statement's value of LAST_NOTIFICATION_AT
   */
  capture(): (lastNotificationAt: Date | null | undefined) => IngestionResponse {
    const { isAccepting, isSpooling, spool } = this.ingest.read();
    const degraded = !isAccepting || isSpooling || spool.notifications > 0;
    return (lastNotificationAt) => ({ last_notification_at: lastNotificationAt?.toISOString() ?? null, degraded });
  }
}
