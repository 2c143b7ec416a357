import { ApiProperty, ApiPropertyOptional, IntersectionType } from '@nestjs/swagger';
import { IsIn, IsOptional } from 'class-validator';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import { BodyResponse } from '../../access/disclosure/raw-body.dto.js';
import type { QuarantinedNotificationEntity } from '../../database/entities.js';
import type { FieldError } from '../../http/problem/problem.js';
import { FieldErrorSchema } from '../../http/problem/problem.openapi.js';
import { PageOf, PageQuery } from '../../http/rest/page.js';
import { CaseIdFilter } from '../../http/rest/case-id-filter.dto.js';
import { IsTime } from '../../http/rest/time.js';
import { type Kind, KINDS } from '../../ingest/notification/notification.js';
import { REJECTION_REASONS, type RejectionReason } from '../../ingest/notification/rejection.js';

/** A filter of quarantined bodies: all conditions must hold. Ids match if they could be read from the body. */
export class QuarantineFilter extends CaseIdFilter {
  @ApiPropertyOptional({ enum: REJECTION_REASONS, description: 'Only bodies rejected for this reason.' })
  @IsOptional()
  @IsIn(REJECTION_REASONS, { message: `must be one of ${REJECTION_REASONS.join(', ')}` })
  reason?: RejectionReason;

  @ApiPropertyOptional({ enum: KINDS, description: 'Only bodies sent as this kind of notification.' })
  @IsOptional()
  @IsIn(KINDS, { message: `must be one of ${KINDS.join(', ')}` })
  kind?: Kind;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Only bodies first received at this time or later, for example `2026-01-31T00:00:00Z`.',
  })
  @IsOptional()
  @IsTime()
  received_from?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Only bodies first received before this time, for example `2026-02-01T00:00:00Z`.',
  })
  @IsOptional()
  @IsTime()
  received_to?: string;
}

/** A page of the matching bodies. */
export class QuarantineQuery extends IntersectionType(QuarantineFilter, PageQuery) {}

/** A row of the statements that read the quarantine. */
export type QuarantineRow = Omit<QuarantinedNotificationEntity, 'body' | 'body_digest'>;

/** A quarantined body. */
export class QuarantineResponse {
  @ApiProperty({
    format: 'uuid',
    description: 'The X-Request-Id of its first receipt.',
    example: '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55',
  })
  id: string;

  @ApiProperty({ description: 'The code of the problem that the sender received.', example: 'invalid_fields' })
  reason: string;

  @ApiProperty({ type: [FieldErrorSchema], description: 'The faults and their fields.' })
  errors: readonly FieldError[];

  @ApiProperty({
    type: 'integer',
    description: 'How many times these bytes were rejected for this reason.',
    example: 1,
  })
  count: number;

  @ApiProperty({
    description: 'When these bytes were first received.',
    format: 'date-time',
    example: '2026-01-31T09:30:00.000Z',
  })
  first_received_at: string;

  @ApiProperty({
    description: 'When these bytes were last received.',
    format: 'date-time',
    example: '2026-01-31T09:30:00.000Z',
  })
  last_received_at: string;

  @ApiProperty({ description: 'Kind of the notification.', example: 'workflow-list-completion' })
  kind: string;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Null if it could not be read.',
    example: '707c2a72791f4fcd9890120ccfe52983',
  })
  workflow_id: string | null;

  @ApiProperty({ type: String, nullable: true, description: 'Null if it could not be read.', example: 'test-caseid11' })
  case_id: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Null if it could not be read. Masked without the scope `reveal`.',
    example: '******456',
  })
  callee_number: string | null;

  static from(this: void, row: QuarantineRow, disclosure: Disclosure): QuarantineResponse {
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
      callee_number: callee_number === null ? null : disclosure.number(callee_number),
    };
  }
}

export class QuarantinePage extends PageOf(QuarantineResponse) {}

/** A quarantined body with its bytes. */
export class QuarantineWithBodyResponse extends IntersectionType(QuarantineResponse, BodyResponse) {}
