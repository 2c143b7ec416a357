import { ApiProperty, PartialType } from '@nestjs/swagger';
import { maskNumber } from '../../access/disclosure/mask.js';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import { type CaseRow, CaseResponse } from '../cases/case.dto.js';
import { IngestionResponse } from '../cases/freshness.dto.js';
import { AskedCase } from './lookup-request.dto.js';

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
  static from(this: void, { asked, status, cases, has_more }: LookupVerdict, sight: Disclosure): VerdictResponse {
    const { callee_number } = asked;
    return {
      asked: !callee_number || sight.isUnmasked ? asked : { ...asked, callee_number: maskNumber(callee_number) },
      status,
      cases: cases.map((row) => CaseResponse.from(row, sight)),
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
