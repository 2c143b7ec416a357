import { ApiPropertyOptional, IntersectionType, PickType } from '@nestjs/swagger';
import { IsIn, IsOptional } from 'class-validator';
import { type Kind, KINDS } from '../../ingest/notification/notification.js';
import { type RejectionReason, REJECTION_REASONS } from '../../ingest/notification/rejection.js';
import { CaseFilter } from '../../query/cases/case-filter.dto.js';
import { PageQuery } from '../../http/rest/page.js';
import { IsTime } from '../../http/rest/time.js';

/** Which refused bodies; all conditions must hold. Ids match as far as they could be read from the body. */
export class QuarantineFilter extends PickType(CaseFilter, ['workflow_id', 'case_id', 'callee_number'] as const) {
  @ApiPropertyOptional({ enum: REJECTION_REASONS, description: 'Refused for this reason.' })
  @IsOptional()
  @IsIn(REJECTION_REASONS, { message: `must be one of ${REJECTION_REASONS.join(', ')}` })
  reason?: RejectionReason;

  @ApiPropertyOptional({ enum: KINDS, description: 'Sent as this kind of notification.' })
  @IsOptional()
  @IsIn(KINDS, { message: `must be one of ${KINDS.join(', ')}` })
  kind?: Kind;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Received first at this time or later, for example `2026-01-31T00:00:00Z`.',
  })
  @IsOptional()
  @IsTime()
  received_from?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Received first before this time, for example `2026-02-01T00:00:00Z`.',
  })
  @IsOptional()
  @IsTime()
  received_to?: string;
}

/** A page of the refused bodies that match. */
export class QuarantineQuery extends IntersectionType(QuarantineFilter, PageQuery) {}
