import { Injectable } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IngestStatus } from '../../metrics/ingest-status.js';

/** How far what an answer says can be relied on: "not seen" is certain only of what was received and is not held up. */
export class IngestionResponse {
  @ApiProperty({
    type: String,
    nullable: true,
    format: 'date-time',
    description: 'When the newest notification was received that this answer knows of; null if there is none.',
    example: '2026-01-31T09:30:00.000Z',
  })
  last_notification_at: string | null;

  @ApiProperty({
    description:
      'True while this service has acknowledged notifications that wait on its disk for PostgreSQL, or can take none: what ' +
      'is not seen may have been received.',
    example: false,
  })
  degraded: boolean;
}

@Injectable()
export class IngestFreshness {
  constructor(private readonly ingest: IngestStatus) {}

  /**
   * How it stands now: to be asked for before the statement is sent, lest a spool be drained between the two.
   *
   * @returns to be called with what the statement says of LAST_NOTIFICATION_AT
   */
  capture(): (lastNotificationAt: Date | null | undefined) => IngestionResponse {
    const { isAccepting, isSpooling, spool } = this.ingest.read();
    const degraded = !isAccepting || isSpooling || spool.notifications > 0;
    return (lastNotificationAt) => ({ last_notification_at: lastNotificationAt?.toISOString() ?? null, degraded });
  }
}
