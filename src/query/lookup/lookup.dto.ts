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

/** A case as it is asked for: every given field must match. */
export class AskedCase {
  @ApiPropertyOptional({ description: "The customer's own id, whole.", example: 'test-caseid11' })
  @ValidateIf(({ case_id, callee_number }: AskedCase) => (case_id ?? null) !== null || !callee_number)
  @IsString({ message: 'must be a string; it may be left out where a callee_number is given' })
  @IsStorableText()
  @IsNotEmptyAlone()
  case_id?: string;

  @ApiPropertyOptional({ description: 'Only in this workflow.', example: '707c2a72791f4fcd9890120ccfe52983' })
  @IsOptional()
  @IsString(text)
  @IsStorableText()
  workflow_id?: string;

  @ApiPropertyOptional({ description: 'The whole number as the provider sent it.', example: '+62123456' })
  @IsOptional()
  @IsString(text)
  @IsStorableText()
  callee_number?: string;
}

/** An empty id is that of any number of cases: it takes a number beside it to mean one. */
function IsNotEmptyAlone(): PropertyDecorator {
  return ValidateBy({
    name: 'isNotEmptyAlone',
    validator: {
      validate: (value: unknown, args?: ValidationArguments) =>
        value !== '' || Boolean(args && (args.object as AskedCase).callee_number),
      defaultMessage: () => 'may be empty only where a callee_number is given',
    },
  });
}

/** A question about many cases. */
export class LookupRequest {
  @ApiProperty({
    type: [AskedCase],
    minItems: 1,
    maxItems: MAX_CASES,
    description: `The cases asked for, 1 to ${MAX_CASES}, each with a \`case_id\` or a \`callee_number\` that is not empty.`,
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
    description: 'What `Prefer: wait` waits for: that `all` asked cases are completed (unless told), or `any`.',
  })
  @IsOptional()
  @IsIn(['all', 'any'], { message: 'must be all or any' })
  mode: 'all' | 'any' = 'all';

  @ApiPropertyOptional({
    type: Boolean,
    description: 'Answer `404` that lists them if any asked case was not seen.',
  })
  @IsOptional()
  @IsBoolean({ message: 'must be true or false' })
  strict: boolean = false;
}

export const STATUSES = ['completed', 'held', 'not_seen'] as const;

/** What is known of one asked case, as the reader has found it. */
export interface LookupVerdict {
  readonly asked: AskedCase;
  readonly status: (typeof STATUSES)[number];
  readonly cases: readonly CaseRow[];
  readonly has_more: boolean;
}

/** The question again. */
class AskedCaseResponse extends PartialType(AskedCase) {}

/** What is known of one asked case. */
export class VerdictResponse {
  @ApiProperty({ description: 'The item as asked. Masked like every number without the scope `reveal`.' })
  asked: AskedCaseResponse;

  @ApiProperty({
    enum: STATUSES,
    description:
      '`completed`: at least one case matches. `held`: none does, but a refused notification in quarantine names it; somebody ' +
      'has to look at it. `not_seen`: nothing was received.',
    example: 'completed',
  })
  status: (typeof STATUSES)[number];

  @ApiProperty({ type: [CaseResponse], description: 'The cases that match, newest completion first.' })
  cases: CaseResponse[];

  @ApiProperty({
    description: 'True if more match than `cases` shows: `GET /v1/cases` with the same ids has them all.',
    example: false,
  })
  has_more: boolean;

  /** A number that the client sent itself is not counted as shown. */
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

export class LookupResponse {
  @ApiProperty({ type: [VerdictResponse], description: 'One verdict for each item, in the order asked.' })
  data: VerdictResponse[];

  @ApiProperty({ description: 'How far `not_seen` can be relied on.' })
  ingestion: IngestionResponse;
}
