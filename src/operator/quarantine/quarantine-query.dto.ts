import { ApiPropertyOptional, IntersectionType } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsIn, IsOptional, IsString } from 'class-validator';
import { IsStorableText } from '../../database/storable-text.js';
import { type Kind, KINDS } from '../../ingest/notification/notification.js';
import { type RejectionReason, REJECTION_REASONS } from '../../ingest/notification/rejection.js';
import { PageQuery } from '../../http/rest/page.js';
import { plusFromSpace } from '../../http/rest/plus-sign.js';
import { IsTime } from '../../http/rest/time.js';

const once = { message: 'must be given once' };

/** Which refused bodies; all conditions must hold. Ids match as far as they could be read from the body. */
export class QuarantineFilter {
  @ApiPropertyOptional({ description: 'Of this workflow, for example `707c2a72791f4fcd9890120ccfe52983`.' })
  @IsOptional()
  @IsString(once)
  @IsStorableText()
  workflow_id?: string;

  @ApiPropertyOptional({ description: "The customer's own id, whole, for example `test-caseid11`." })
  @IsOptional()
  @IsString(once)
  @IsStorableText()
  case_id?: string;

  @ApiPropertyOptional({
    description:
      'The whole number as the provider sent it, for example `+62123456`. The plus sign may also be written `%2B`.',
  })
  @IsOptional()
  @Transform(plusFromSpace)
  @IsString(once)
  @IsStorableText()
  callee_number?: string;

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
