import { ApiProperty, ApiPropertyOptional, PartialType } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsObject,
  IsOptional,
  IsString,
  ValidateBy,
  ValidateIf,
  ValidateNested,
  type ValidationArguments,
} from 'class-validator';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import { maskNumber } from '../../access/disclosure/mask.js';
import { IsStorableText } from '../../database/storable-text.js';
import { CaseResponse, type CaseRow } from '../cases/case.dto.js';
import { IngestionResponse } from '../cases/freshness.dto.js';

const MAX_CASES = 1000;
const text = { message: 'must be a string' };

/** One item of a lookup: every given field must match. */
export class AskedCase {
  @ApiPropertyOptional({ description: "The customer's own id, an exact match.", example: 'test-caseid11' })
  @ValidateIf(({ case_id, callee_number }: AskedCase) => (case_id ?? null) !== null || !callee_number)
  @IsString({ message: 'must be a string; it may be left out if a callee_number is given' })
  @IsStorableText()
  @IsNotEmptyAlone()
  case_id?: string;

  @ApiPropertyOptional({ description: 'Only in this workflow.', example: '707c2a72791f4fcd9890120ccfe52983' })
  @IsOptional()
  @IsString(text)
  @IsStorableText()
  workflow_id?: string;

  @ApiPropertyOptional({ description: 'The full number as the provider sent it.', example: '+62123456' })
  @IsOptional()
  @IsString(text)
  @IsStorableText()
  callee_number?: string;
}

/** An empty case id is shared by many cases, so it is valid only with a number. */
function IsNotEmptyAlone(): PropertyDecorator {
  return ValidateBy({
    name: 'isNotEmptyAlone',
    validator: {
      validate: (value: unknown, args?: ValidationArguments) =>
        value !== '' || Boolean(args && (args.object as AskedCase).callee_number),
      defaultMessage: () => 'may be empty only if a callee_number is given',
    },
  });
}

/** A lookup of many cases. */
export class LookupRequest {
  @ApiProperty({
    type: [AskedCase],
    minItems: 1,
    maxItems: MAX_CASES,
    description: `The cases to look up, 1 to ${MAX_CASES}, each with a \`case_id\` or a \`callee_number\` that is not empty.`,
  })
  @IsArray({ message: 'must be a list' })
  @ArrayMinSize(1, { message: 'must have at least one item' })
  @ArrayMaxSize(MAX_CASES, { message: `must have at most ${MAX_CASES} items` })
  @IsObject({ each: true, message: 'must be a list of objects' })
  @ValidateNested({ each: true })
  @Type(() => AskedCase)
  cases: AskedCase[];

  @ApiPropertyOptional({
    enum: ['all', 'any'],
    description: '`Prefer: wait` waits until `all` cases are completed, or `any`. Default: all.',
  })
  @IsOptional()
  @IsIn(['all', 'any'], { message: 'must be all or any' })
  mode: 'all' | 'any' = 'all';

  @ApiPropertyOptional({
    type: Boolean,
    description: 'Respond with `404` and a list of the cases that were not seen, if there are any. Default: false.',
  })
  @IsOptional()
  @IsBoolean({ message: 'must be true or false' })
  strict: boolean = false;
}

export const STATUSES = ['completed', 'held', 'not_seen'] as const;

/** The verdict of one item before disclosure is applied. */
export interface LookupVerdict {
  readonly asked: AskedCase;
  readonly status: (typeof STATUSES)[number];
  readonly cases: readonly CaseRow[];
  readonly has_more: boolean;
}

/** The item of the request. */
class AskedCaseResponse extends PartialType(AskedCase) {}

/** The verdict of one item. */
export class VerdictResponse {
  @ApiProperty({ description: 'The item of the request. Its number is masked without the scope `reveal`.' })
  asked: AskedCaseResponse;

  @ApiProperty({
    enum: STATUSES,
    description:
      '`completed`: at least one case matches. `held`: no case matches, but a rejected notification in quarantine names it; an ' +
      'operator has to review it. `not_seen`: nothing was received.',
    example: 'completed',
  })
  status: (typeof STATUSES)[number];

  @ApiProperty({ type: [CaseResponse], description: 'The matching cases, newest completion first.' })
  cases: CaseResponse[];

  @ApiProperty({
    description: 'True if more cases match than `cases` has: `GET /v1/cases` with the same ids has them all.',
    example: false,
  })
  has_more: boolean;

  /** A number that the client has sent itself is no disclosure. */
  static from(this: void, { asked, status, cases, has_more }: LookupVerdict, disclosure: Disclosure): VerdictResponse {
    const { callee_number } = asked;
    return {
      asked: !callee_number || disclosure.isUnmasked ? asked : { ...asked, callee_number: maskNumber(callee_number) },
      status,
      cases: cases.map((row) => CaseResponse.from(row, disclosure)),
      has_more,
    };
  }
}

/** The verdicts of a lookup. */
export class LookupResponse {
  @ApiProperty({ type: [VerdictResponse], description: 'One verdict for each item, in the order of the request.' })
  data: VerdictResponse[];

  @ApiProperty({ description: 'Whether a case that is `not_seen` may have been received.' })
  ingestion: IngestionResponse;
}
