import { ApiExtraModels, ApiProperty, getSchemaPath, IntersectionType, PickType } from '@nestjs/swagger';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import { VERDICTS, type Verdict } from '../../database/entities.js';
import { BodyResponse } from '../../access/disclosure/raw-body.dto.js';
import { CaseResponse } from '../cases/case.dto.js';
import { PageOf } from '../../http/rest/page.js';

/** A row of the statements that read deliveries. */
export interface NotificationRow {
  id: string;
  kind: string;
  received_at: Date;
  verdict: Verdict;
  /** Null if retention has removed the body. */
  body_bytes: number | null;
  case_ref: string;
  workflow_id: string;
  case_id: string;
  callee_number: string;
}

/** The case of a delivery. */
export class NotifiedCaseResponse extends PickType(CaseResponse, ['id', 'workflow_id', 'case_id', 'callee_number']) {}

/** One delivery. */
@ApiExtraModels(NotifiedCaseResponse)
export class NotificationResponse {
  @ApiProperty({
    format: 'uuid',
    description: 'Also the X-Request-Id of its response.',
    example: '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55',
  })
  id: string;

  @ApiProperty({ description: 'Kind of the notification.', example: 'workflow-list-completion' })
  kind: string;

  @ApiProperty({ description: 'When it was received.', format: 'date-time', example: '2026-01-31T09:30:00.000Z' })
  received_at: string;

  @ApiProperty({
    enum: VERDICTS,
    description:
      'Determined when the delivery was written. `first`: created the case. `repeat`: the same content as the case. ' +
      '`changed`: newer, with other content. `late`: other content, but older than that of the case, which stays as it is.',
    example: 'first',
  })
  verdict: Verdict;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'Size of the body; null after retention has removed the body.',
    example: 620,
  })
  body_bytes: number | null;

  @ApiProperty({
    nullable: true,
    allOf: [{ $ref: getSchemaPath(NotifiedCaseResponse) }],
    description: 'The case of the delivery; null for a kind without a case.',
  })
  case: NotifiedCaseResponse | null;

  static from(this: void, row: NotificationRow, disclosure: Disclosure): NotificationResponse {
    const { case_ref: id, workflow_id, case_id, callee_number } = row;
    return {
      id: row.id,
      kind: row.kind,
      received_at: row.received_at.toISOString(),
      verdict: row.verdict,
      body_bytes: row.body_bytes,
      case: { id, workflow_id, case_id, callee_number: disclosure.number(callee_number) },
    };
  }
}

export class NotificationsPage extends PageOf(NotificationResponse) {}

/** One delivery, with the bytes as received. */
export class NotificationWithBodyResponse extends IntersectionType(NotificationResponse, BodyResponse) {}
