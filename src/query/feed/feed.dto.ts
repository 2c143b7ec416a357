import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString } from 'class-validator';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import type { Verdict } from '../../database/entities.js';
import { IsStorableText } from '../../database/storable-text.js';
import { PageQuery } from '../../http/rest/page.js';
import { CaseResponse, type CaseRow } from '../cases/case.dto.js';

/** From where on the change feed is read, and what of it. */
export class CompletionQuery extends PageQuery {
  @ApiPropertyOptional({ description: 'Of this workflow only, for example `707c2a72791f4fcd9890120ccfe52983`.' })
  @IsOptional()
  @IsString({ message: 'must be given once' })
  @IsStorableText()
  workflow_id?: string;

  @ApiPropertyOptional({
    enum: ['start', 'now'],
    default: 'start',
    description: 'Where to begin without a cursor: with the oldest completion, or with what comes from now on.',
  })
  @IsOptional()
  @IsIn(['start', 'now'], { message: 'must be start or now' })
  from: 'start' | 'now' = 'start';
}

/** An event as the reader's statement returns it, with its case. */
export interface CompletionRow extends CaseRow {
  position: string;
  notification_id: string;
  received_at: Date;
  verdict: Verdict;
}

/** A case was completed, or what is shown of it changed. */
export class CompletionResponse {
  @ApiProperty({
    enum: ['completed', 'changed'],
    description:
      '`completed`: the first notification of the case. `changed`: a later one with other content, or one that came out of ' +
      'order and changed its completion or its revision. Mere repeats are no events.',
    example: 'completed',
  })
  event: 'completed' | 'changed';

  @ApiProperty({
    format: 'uuid',
    description: 'The notification that did it; unique in the feed.',
    example: '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55',
  })
  notification_id: string;

  @ApiProperty({ format: 'date-time', description: 'When it was received.', example: '2026-01-31T09:30:00.000Z' })
  received_at: string;

  @ApiProperty({ description: 'The case as it is now, which may be newer than the event.' })
  case: CaseResponse;

  static from(this: void, row: CompletionRow, disclosure: Disclosure): CompletionResponse {
    return {
      event: row.verdict === 'first' ? 'completed' : 'changed',
      notification_id: row.notification_id,
      received_at: row.received_at.toISOString(),
      case: CaseResponse.from(row, disclosure),
    };
  }
}

/** A stretch of the change feed. */
export class CompletionsResponse {
  @ApiProperty({ type: [CompletionResponse], description: 'In the order of the feed; each event once.' })
  data: CompletionResponse[];

  @ApiProperty({
    description: 'Leads on from here; always there, and good until events behind it are removed for their age. Opaque.',
    example: 'pzE3Zl0zXz1mN2tYyK0mVlswLCIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAiXQ',
  })
  next_cursor: string;

  @ApiProperty({
    description:
      'True if this was all that there was to tell; a read replica that lags may have more in a moment. While it is false, ask on ' +
      'at once, also where `data` is empty.',
    example: true,
  })
  caught_up: boolean;
}
