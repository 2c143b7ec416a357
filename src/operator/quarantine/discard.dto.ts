import { ApiProperty, PickType } from '@nestjs/swagger';
import { PageOf } from '../../http/rest/page.js';
import { QuarantineResponse } from './quarantine.dto.js';
import { ReasonCountResponse } from './replay.dto.js';

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
