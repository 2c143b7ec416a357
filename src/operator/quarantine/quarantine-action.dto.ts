import { ApiProperty } from '@nestjs/swagger';
import {
  QUARANTINE_ACTIONS,
  type QuarantineAction,
  type QuarantineActionEntity,
  VERDICTS,
} from '../../database/entities.js';
import type { Outcome } from '../../ingest/write/batch.js';
import { PageOf } from '../../http/rest/page.js';

/** The removal of one body from the quarantine. */
export class QuarantineActionResponse {
  @ApiProperty({
    format: 'uuid',
    description: 'Id of this record.',
    example: '0198c7a2-6b11-7d20-8f3e-1c5a9e7b2d44',
  })
  id: string;

  @ApiProperty({ format: 'date-time', description: 'Time of the action.', example: '2026-01-31T09:30:00.000Z' })
  acted_at: string;

  @ApiProperty({ description: 'Name of the API key.', example: 'operations' })
  key_name: string;

  @ApiProperty({ enum: QUARANTINE_ACTIONS, description: 'The action.', example: 'discarded' })
  action: QuarantineAction;

  @ApiProperty({
    format: 'uuid',
    description: 'Id of the body. After a replay the id of the notification too.',
    example: '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55',
  })
  quarantined_id: string;

  @ApiProperty({ description: 'Kind of the notification.', example: 'workflow-list-completion' })
  kind: string;

  @ApiProperty({ description: 'Why the body was rejected.', example: 'invalid_fields' })
  reason: string;

  @ApiProperty({ type: 'integer', description: 'How many times these bytes were received.', example: 1 })
  count: number;

  @ApiProperty({
    type: String,
    enum: [...VERDICTS, 'known', 'erased', null],
    nullable: true,
    description:
      "Result of a replay: the notification's verdict; `known`: an earlier attempt had written it already; `erased`: its " +
      'person had been erased, so it was only removed.',
    example: null,
  })
  verdict: Outcome | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'The reason that the operator gave for a discard.',
    example: 'Sent by a load test.',
  })
  because: string | null;

  static from(this: void, { acted_at, ...row }: QuarantineActionEntity): QuarantineActionResponse {
    return { ...row, acted_at: acted_at.toISOString() };
  }
}

export class QuarantineActionsPage extends PageOf(QuarantineActionResponse) {}
