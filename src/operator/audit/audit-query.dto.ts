import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, IsString } from 'class-validator';
import { IsStorableText } from '../../database/storable-text.js';
import { PageQuery } from '../../http/rest/page.js';
import { IsTime } from '../../http/rest/time.js';

/** A page of the records that match. */
export class AuditQuery extends PageQuery {
  @ApiPropertyOptional({ description: 'What this API key was shown, by its name, for example `collections`.' })
  @IsOptional()
  @IsString({ message: 'must be given once' })
  @IsStorableText()
  key?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Shown at this time or later, for example `2026-01-31T00:00:00Z`.',
  })
  @IsOptional()
  @IsTime()
  from?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Shown before this time, for example `2026-02-01T00:00:00Z`.',
  })
  @IsOptional()
  @IsTime()
  to?: string;
}
