import { ApiProperty, IntersectionType } from '@nestjs/swagger';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import type { QuarantinedNotificationEntity } from '../../database/entities.js';
import type { FieldError } from '../../http/problem/problem.js';
import { FieldErrorSchema } from '../../http/problem/problem.openapi.js';
import { BodyResponse } from '../../access/disclosure/raw-body.dto.js';
import { PageOf } from '../../http/rest/page.js';

export type QuarantineRow = Omit<QuarantinedNotificationEntity, 'body' | 'body_digest'>;

/** A refused body. */
export class QuarantineResponse {
  @ApiProperty({
    format: 'uuid',
    description: 'The X-Request-Id of its first receipt.',
    example: '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55',
  })
  id: string;

  @ApiProperty({ description: 'The code of the problem that the sender was answered with.', example: 'invalid_fields' })
  reason: string;

  @ApiProperty({ type: [FieldErrorSchema], description: 'What was wrong where.' })
  errors: readonly FieldError[];

  @ApiProperty({
    type: 'integer',
    description: 'How many times these very bytes were refused for this reason.',
    example: 1,
  })
  count: number;

  @ApiProperty({
    description: 'When these bytes came first.',
    format: 'date-time',
    example: '2026-01-31T09:30:00.000Z',
  })
  first_received_at: string;

  @ApiProperty({ description: 'When these bytes came last.', format: 'date-time', example: '2026-01-31T09:30:00.000Z' })
  last_received_at: string;

  @ApiProperty({ description: 'Kind of the notification.', example: 'workflow-list-completion' })
  kind: string;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'As far as it could be read.',
    example: '707c2a72791f4fcd9890120ccfe52983',
  })
  workflow_id: string | null;

  @ApiProperty({ type: String, nullable: true, description: 'As far as it could be read.', example: 'test-caseid11' })
  case_id: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'As far as it could be read. Masked without the scope `reveal`.',
    example: '******456',
  })
  callee_number: string | null;

  static from(this: void, row: QuarantineRow, sight: Disclosure): QuarantineResponse {
    const { id, reason, errors, count, kind, workflow_id, case_id, callee_number } = row;
    return {
      id,
      reason,
      errors,
      count,
      first_received_at: row.first_received_at.toISOString(),
      last_received_at: row.last_received_at.toISOString(),
      kind,
      workflow_id,
      case_id,
      callee_number: callee_number === null ? null : sight.number(callee_number),
    };
  }
}

export class QuarantinePage extends PageOf(QuarantineResponse) {}

/** A refused body with its bytes. */
export class QuarantineWithBodyResponse extends IntersectionType(QuarantineResponse, BodyResponse) {}
