import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString } from 'class-validator';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import type { Verdict } from '../../database/entities.js';
import { IsStorableText } from '../../database/storable-text.js';
import { PageQuery } from '../../http/rest/page.js';
import { CaseResponse, type CaseRow } from '../cases/case.dto.js';

/** The start and the filter of a read of the change feed. */
export class CompletionQuery extends PageQuery {
  @ApiPropertyOptional({ description: 'Only events of this workflow, for example `707c2a72791f4fcd9890120ccfe52983`.' })
  @IsOptional()
  @IsString({ message: 'must be given once' })
  @IsStorableText()
  workflow_id?: string;

  @ApiPropertyOptional({
    enum: ['start', 'now'],
    default: 'start',
    description: 'The start without a cursor: at the oldest event, or after the newest one.',
  })
  @IsOptional()
  @IsIn(['start', 'now'], { message: 'must be start or now' })
  from: 'start' | 'now' = 'start';
}

/** A row of `READ_COMPLETIONS`: an event with its case. */
export interface CompletionRow extends CaseRow {
  position: string;
  notification_id: string;
  received_at: Date;
  verdict: Verdict;
}

/** The completion or a change of a case. */
export class CompletionResponse {
  @ApiProperty({
    enum: ['completed', 'changed'],
    description:
      '`completed`: the first notification of the case. `changed`: a later one with other content, or one received out of ' +
      'order that changed its completion or its revision. A repeat is no event.',
    example: 'completed',
  })
  event: 'completed' | 'changed';

  @ApiProperty({
    format: 'uuid',
    description: 'The notification that caused the event; unique in the feed.',
    example: '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55',
  })
  notification_id: string;

  @ApiProperty({ format: 'date-time', description: 'When it was received.', example: '2026-01-31T09:30:00.000Z' })
  received_at: string;

  @ApiProperty({ description: 'The current state of the case, which may be newer than the event.' })
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

/** A page of the change feed. */
export class CompletionsResponse {
  @ApiProperty({ type: [CompletionResponse], description: 'The events in the order of the feed, each once.' })
  data: CompletionResponse[];

  @ApiProperty({
    description:
      'The cursor after this page. Always present, and valid until events after it are removed by retention. Opaque.',
    example: 'pzE3Zl0zXz1mN2tYyK0mVlswLCIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAiXQ',
  })
  next_cursor: string;

  @ApiProperty({
    description:
      'True if the feed had no more events; a read replica that lags may have more soon. If it is false, read the next page at ' +
      'once, even if `data` is empty.',
    example: true,
  })
  caught_up: boolean;
}
