import { ApiPropertyOptional, IntersectionType } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsBoolean, IsIn, IsOptional, IsString } from 'class-validator';
import { IsStorableText } from '../../database/storable-text.js';
import { PageQuery } from '../../http/rest/page.js';
import { CaseIdFilter, once } from '../../http/rest/case-id-filter.dto.js';
import { IsTime } from '../../http/rest/time.js';

/** A filter of cases: all conditions must hold, and those on node tasks for the same node task. */
export class CaseFilter extends CaseIdFilter {
  @ApiPropertyOptional({ description: 'Only cases that went through a node task of this type, for example `call`.' })
  @IsOptional()
  @IsString(once)
  @IsStorableText()
  node_type?: string;

  @ApiPropertyOptional({
    description: 'Only cases that went through this node task, for example `300e4513a8a44567a933f893cee2b637`.',
  })
  @IsOptional()
  @IsString(once)
  @IsStorableText()
  nodetask_id?: string;

  @ApiPropertyOptional({
    description: 'Only cases that went through this task, for example `1fe46b87ee3eb19b6e59fcacc4c66446`.',
  })
  @IsOptional()
  @IsString(once)
  @IsStorableText()
  task_id?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Only cases completed at this time or later, for example `2026-01-31T00:00:00Z`.',
  })
  @IsOptional()
  @IsTime()
  completed_from?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Only cases completed before this time, for example `2026-02-01T00:00:00Z`.',
  })
  @IsOptional()
  @IsTime()
  completed_to?: string;

  @ApiPropertyOptional({ enum: ['desc', 'asc'], default: 'desc', description: 'Order by `completed_at`.' })
  @IsOptional()
  @IsIn(['desc', 'asc'], { message: 'must be desc or asc' })
  order: 'desc' | 'asc' = 'desc';
}

/** A page of the matching cases. */
export class CaseQuery extends IntersectionType(CaseFilter, PageQuery) {
  @ApiPropertyOptional({
    type: Boolean,
    default: false,
    description: 'Also count all matching cases, exactly. Slow if there are many.',
  })
  @IsOptional()
  @Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value))
  @IsBoolean({ message: 'must be true or false' })
  include_total: boolean = false;
}
