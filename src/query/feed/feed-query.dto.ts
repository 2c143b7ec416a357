import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString } from 'class-validator';
import { IsStorableText } from '../../database/storable-text.js';
import { PageQuery } from '../../http/rest/page.js';

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
