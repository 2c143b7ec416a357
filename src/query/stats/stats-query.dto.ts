import { ApiPropertyOptional, PickType } from '@nestjs/swagger';
import { IsIn, IsOptional, ValidateBy } from 'class-validator';
import { CaseFilter } from '../cases/case-filter.dto.js';
import { IsTime } from '../../http/rest/time.js';

/** Which completions are counted, and by what. */
export class CompletionStatsQuery extends PickType(CaseFilter, ['workflow_id', 'node_type'] as const) {
  @ApiPropertyOptional({ enum: ['hour', 'day'], default: 'hour', description: 'What a bucket is.' })
  @IsOptional()
  @IsIn(['hour', 'day'], { message: 'must be hour or day' })
  interval: 'hour' | 'day' = 'hour';

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Completed at this time or later. Without it: 24 hours, or 30 days, before `completed_to`.',
  })
  @IsOptional()
  @IsTime()
  completed_from?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Completed before this time. Without it: the end of the present hour or day.',
  })
  @IsOptional()
  @IsTime()
  completed_to?: string;

  @ApiPropertyOptional({
    type: String,
    default: 'UTC',
    description: 'Whose hours and days: an IANA time zone, for example `Asia/Jakarta`.',
  })
  @IsOptional()
  @IsTimeZone()
  time_zone: string = 'UTC';
}

/** A name, not an offset: PostgreSQL reads the sign of one the other way round. */
function IsTimeZone(): PropertyDecorator {
  return ValidateBy({
    name: 'isTimeZone',
    validator: {
      validate: (value: unknown) => typeof value === 'string' && /^[a-z]/i.test(value) && isKnown(value),
      defaultMessage: () => 'must be an IANA time zone like Asia/Jakarta',
    },
  });
}

function isKnown(timeZone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
