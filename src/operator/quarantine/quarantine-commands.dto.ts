import { ApiProperty, ApiPropertyOptional, IntersectionType } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  IsBoolean,
  IsInt,
  IsNotEmptyObject,
  IsObject,
  IsOptional,
  IsString,
  Length,
  Max,
  Min,
  ValidateNested,
} from 'class-validator';
import { IsStorableText } from '../../database/storable-text.js';
import { MAX_LIMIT } from '../../http/rest/page.js';
import { QuarantineFilter } from './quarantine-query.dto.js';

const MAX_REASON_LENGTH = 1000;
const limitRule = { message: `must be a whole number from 1 to ${MAX_LIMIT}` };
const reasonRule = { message: `must be a text of 1 to ${MAX_REASON_LENGTH} characters` };

/** What is done with all that match: how much of it in one call, and whether at all. */
class BulkRequest {
  @ApiPropertyOptional({
    type: Boolean,
    description: 'Only tell what would be done, and do nothing. Unless told: false.',
  })
  @IsOptional()
  @IsBoolean({ message: 'must be true or false' })
  dry_run: boolean = false;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: MAX_LIMIT,
    description: `How many at most in this call, 1 to ${MAX_LIMIT}. Unless told: ${MAX_LIMIT}.`,
  })
  @IsOptional()
  @IsInt(limitRule)
  @Min(1, limitRule)
  @Max(MAX_LIMIT, limitRule)
  limit: number = MAX_LIMIT;

  @ApiPropertyOptional({ type: String, description: "The former call's `next_cursor`, with the same filter." })
  @IsOptional()
  @IsString({ message: 'must be a string' })
  cursor?: string;
}

export class ReplayRequest extends BulkRequest {
  @ApiPropertyOptional({ type: QuarantineFilter, description: 'Which refused bodies. Unless told: all.' })
  @IsOptional()
  @IsObject({ message: 'must be an object' })
  @ValidateNested()
  @Type(() => QuarantineFilter)
  filter: QuarantineFilter = {};
}

/** Why a refused body is discarded. */
export class DiscardRequest {
  @ApiProperty({
    minLength: 1,
    maxLength: MAX_REASON_LENGTH,
    description: 'Why, for those who will ask. It is kept: name no person and no number in it.',
    example: 'Sent by a load test.',
  })
  @IsString(reasonRule)
  @Length(1, MAX_REASON_LENGTH, reasonRule)
  @IsStorableText()
  reason: string;
}

export class BulkDiscardRequest extends IntersectionType(BulkRequest, DiscardRequest) {
  @ApiProperty({ type: QuarantineFilter, description: 'Which refused bodies: at least one condition.' })
  @IsObject({ message: 'must be an object' })
  @IsNotEmptyObject({ nullable: false }, { message: 'must have at least one condition' })
  @ValidateNested()
  @Type(() => QuarantineFilter)
  filter: QuarantineFilter;
}
