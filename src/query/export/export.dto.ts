import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional } from 'class-validator';
import { CaseFilter } from '../cases/case-filter.dto.js';

/** The filter and the format of an export. */
export class ExportQuery extends CaseFilter {
  @ApiPropertyOptional({
    enum: ['ndjson', 'csv'],
    description: 'Takes precedence over `Accept`. Default without both: `ndjson`.',
  })
  @IsOptional()
  @IsIn(['ndjson', 'csv'], { message: 'must be ndjson or csv' })
  format?: 'ndjson' | 'csv';
}
