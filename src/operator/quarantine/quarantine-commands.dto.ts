import { ApiProperty, ApiPropertyOptional, IntersectionType, PickType } from '@nestjs/swagger';
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
import { VERDICTS } from '../../database/entities.js';
import { IsStorableText } from '../../database/storable-text.js';
import type { FieldError } from '../../http/problem/problem.js';
import { FieldErrorSchema } from '../../http/problem/problem.openapi.js';
import { MAX_LIMIT, PageOf } from '../../http/rest/page.js';
import type { Outcome } from '../../ingest/write/batch.js';
import { QuarantineFilter, QuarantineResponse } from './quarantine.dto.js';

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

const OUTCOMES = ['replayed', 'erased', 'refused', 'held'] as const;

/** What came of replaying one refused body. */
export class ReplayResponse {
  @ApiProperty({
    format: 'uuid',
    description: 'Its id: of the notification too, once it is replayed.',
    example: '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55',
  })
  id: string;

  @ApiProperty({
    enum: OUTCOMES,
    description:
      '`replayed`: it is a notification now, received when it was. `erased`: its person was erased since then, so it is only ' +
      'removed. `refused`: it is still not valid, and stays, with what is wrong with it today. `held`: another transaction is ' +
      'at its case just now; it stays: try again.',
    example: 'replayed',
  })
  outcome: (typeof OUTCOMES)[number];

  @ApiProperty({
    type: String,
    enum: [...VERDICTS, 'known', null],
    nullable: true,
    description:
      "Of what was replayed the notification's verdict; `known`: an earlier attempt had written it already. Null in a dry run.",
    example: 'first',
  })
  verdict: Exclude<Outcome, 'erased'> | null;

  @ApiProperty({ type: String, nullable: true, description: 'Of what is still refused, why.', example: null })
  reason: string | null;

  @ApiProperty({
    type: [FieldErrorSchema],
    description: 'Of what is still refused, what is wrong where; of many at once ten faults each.',
    example: [],
  })
  errors: readonly FieldError[];
}

/** How many refused bodies there are of one reason. */
export class ReasonCountResponse extends PickType(QuarantineResponse, ['reason'] as const) {
  @ApiProperty({ type: 'integer', description: 'How many refused bodies.', example: 1 })
  bodies: number;

  static from(this: void, reasons: readonly string[]): ReasonCountResponse[] {
    const distinct = [...new Set(reasons)].toSorted();
    return distinct.map((reason) => ({ reason, bodies: reasons.filter((each) => each === reason).length }));
  }
}

/** What came, or would come, of replaying the refused bodies that match. */
export class ReplayPage extends PageOf(ReplayResponse) {
  @ApiProperty({ description: 'True if nothing was done: this is what a replay would come to now.', example: false })
  readonly dry_run: boolean;

  @ApiProperty({ type: 'integer', description: 'How many of these are notifications now.', example: 1 })
  readonly replayed: number;

  @ApiProperty({
    type: 'integer',
    description: 'How many are only removed, for their persons were erased.',
    example: 0,
  })
  readonly erased: number;

  @ApiProperty({ type: 'integer', description: 'How many are still refused.', example: 0 })
  readonly refused: number;

  @ApiProperty({ type: 'integer', description: 'How many could not be replayed just now.', example: 0 })
  readonly held: number;

  @ApiProperty({ type: [ReasonCountResponse], description: 'Why those that are still refused are.' })
  readonly reasons: readonly ReasonCountResponse[];
}

/** A refused body that is gone. */
export class DiscardResponse extends PickType(QuarantineResponse, ['id', 'reason', 'count'] as const) {}

/** The refused bodies that were discarded, or would be. */
export class DiscardPage extends PageOf(DiscardResponse) {
  @ApiProperty({ description: 'True if nothing was done: these would be discarded now.', example: false })
  readonly dry_run: boolean;

  @ApiProperty({ type: 'integer', description: 'How many these are.', example: 1 })
  readonly discarded: number;

  @ApiProperty({ type: [ReasonCountResponse], description: 'Why they had been refused.' })
  readonly reasons: readonly ReasonCountResponse[];
}
