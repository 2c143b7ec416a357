import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional } from 'class-validator';
import { CaseFilter } from '../cases/case-filter.dto.js';

/** Which cases, and how they are written. */
export class ExportQuery extends CaseFilter {
  @ApiPropertyOptional({
    enum: ['ndjson', 'csv'],
    description: 'Before what `Accept` says; `ndjson` where neither says anything.',
  })
  @IsOptional()
  @IsIn(['ndjson', 'csv'], { message: 'must be ndjson or csv' })
  format?: 'ndjson' | 'csv';
}
