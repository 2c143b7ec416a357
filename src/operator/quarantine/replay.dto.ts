import { ApiProperty, PickType } from '@nestjs/swagger';
import { VERDICTS } from '../../database/entities.js';
import type { FieldError } from '../../http/problem/problem.js';
import { FieldErrorSchema } from '../../http/problem/problem.openapi.js';
import type { Outcome } from '../../ingest/write/batch.js';
import { PageOf } from '../../http/rest/page.js';
import { QuarantineResponse } from './quarantine.dto.js';

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
