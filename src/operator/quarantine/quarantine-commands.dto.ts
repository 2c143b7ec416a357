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

/** The options of a command on all matching bodies. */
class BulkRequest {
  @ApiPropertyOptional({
    type: Boolean,
    description: 'Return the result without any change. Default: false.',
  })
  @IsOptional()
  @IsBoolean({ message: 'must be true or false' })
  dry_run: boolean = false;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: MAX_LIMIT,
    description: `Maximum number of bodies in this call, 1 to ${MAX_LIMIT}. Default: ${MAX_LIMIT}.`,
  })
  @IsOptional()
  @IsInt(limitRule)
  @Min(1, limitRule)
  @Max(MAX_LIMIT, limitRule)
  limit: number = MAX_LIMIT;

  @ApiPropertyOptional({ type: String, description: 'The `next_cursor` of the previous call, with the same filter.' })
  @IsOptional()
  @IsString({ message: 'must be a string' })
  cursor?: string;
}

/** A replay of matching bodies. */
export class ReplayRequest extends BulkRequest {
  @ApiPropertyOptional({ type: QuarantineFilter, description: 'A filter of the bodies. Default: all.' })
  @IsOptional()
  @IsObject({ message: 'must be an object' })
  @ValidateNested()
  @Type(() => QuarantineFilter)
  filter: QuarantineFilter = {};
}

/** A discard with its reason. */
export class DiscardRequest {
  @ApiProperty({
    minLength: 1,
    maxLength: MAX_REASON_LENGTH,
    description: 'The reason for the discard. It is stored, so it must not contain personal data.',
    example: 'Sent by a load test.',
  })
  @IsString(reasonRule)
  @Length(1, MAX_REASON_LENGTH, reasonRule)
  @IsStorableText()
  reason: string;
}

/** A discard of matching bodies. */
export class BulkDiscardRequest extends IntersectionType(BulkRequest, DiscardRequest) {
  @ApiProperty({ type: QuarantineFilter, description: 'A filter of the bodies, with at least one condition.' })
  @IsObject({ message: 'must be an object' })
  @IsNotEmptyObject({ nullable: false }, { message: 'must have at least one condition' })
  @ValidateNested()
  @Type(() => QuarantineFilter)
  filter: QuarantineFilter;
}

const OUTCOMES = ['replayed', 'erased', 'refused', 'held'] as const;

/** The result of replaying one body. */
export class ReplayResponse {
  @ApiProperty({
    format: 'uuid',
    description: 'Id of the body. After a replay the id of the notification too.',
    example: '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55',
  })
  id: string;

  @ApiProperty({
    enum: OUTCOMES,
    description:
      '`replayed`: the body is a notification now, with its first receipt. `erased`: its person was erased since then, so it ' +
      'was only removed. `refused`: it is still invalid and stays, with its current faults. `held`: another transaction ' +
      'locks its case; it stays: retry.',
    example: 'replayed',
  })
  outcome: (typeof OUTCOMES)[number];

  @ApiProperty({
    type: String,
    enum: [...VERDICTS, 'known', null],
    nullable: true,
    description:
      "If it was replayed, the notification's verdict; `known`: an earlier attempt had written it already. Null in a dry run.",
    example: 'first',
  })
  verdict: Exclude<Outcome, 'erased'> | null;

  @ApiProperty({ type: String, nullable: true, description: 'If it is still invalid, the reason.', example: null })
  reason: string | null;

  @ApiProperty({
    type: [FieldErrorSchema],
    description: 'If it is still invalid, the faults and their fields; with several bodies at most ten faults each.',
    example: [],
  })
  errors: readonly FieldError[];
}

/** The number of bodies of one reason. */
export class ReasonCountResponse extends PickType(QuarantineResponse, ['reason'] as const) {
  @ApiProperty({ type: 'integer', description: 'Number of bodies.', example: 1 })
  bodies: number;

  static from(this: void, reasons: readonly string[]): ReasonCountResponse[] {
    const distinct = [...new Set(reasons)].toSorted();
    return distinct.map((reason) => ({ reason, bodies: reasons.filter((each) => each === reason).length }));
  }
}

/** The results of a replay, or of its dry run. */
export class ReplayPage extends PageOf(ReplayResponse) {
  @ApiProperty({
    description: 'True if nothing was changed: these are the results of a replay at this time.',
    example: false,
  })
  readonly dry_run: boolean;

  @ApiProperty({ type: 'integer', description: 'Number of bodies that are notifications now.', example: 1 })
  readonly replayed: number;

  @ApiProperty({
    type: 'integer',
    description: 'Number of bodies that were only removed, because their persons were erased.',
    example: 0,
  })
  readonly erased: number;

  @ApiProperty({ type: 'integer', description: 'Number of bodies that are still invalid.', example: 0 })
  readonly refused: number;

  @ApiProperty({ type: 'integer', description: 'Number of bodies whose cases were locked.', example: 0 })
  readonly held: number;

  @ApiProperty({ type: [ReasonCountResponse], description: 'The reasons of the bodies that are still invalid.' })
  readonly reasons: readonly ReasonCountResponse[];
}

/** A discarded body. */
export class DiscardResponse extends PickType(QuarantineResponse, ['id', 'reason', 'count'] as const) {}

/** The discarded bodies, or those of a dry run. */
export class DiscardPage extends PageOf(DiscardResponse) {
  @ApiProperty({ description: 'True if nothing was changed: a discard would remove these bodies.', example: false })
  readonly dry_run: boolean;

  @ApiProperty({ type: 'integer', description: 'Number of these bodies.', example: 1 })
  readonly discarded: number;

  @ApiProperty({ type: [ReasonCountResponse], description: 'Why the bodies were rejected.' })
  readonly reasons: readonly ReasonCountResponse[];
}
