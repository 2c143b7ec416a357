import { ApiProperty, ApiPropertyOptional, PickType } from '@nestjs/swagger';
import { IsIn, IsOptional, ValidateBy } from 'class-validator';
import { IsTime } from '../../http/rest/time.js';
import { CaseFilter } from '../cases/case-filter.dto.js';

/** The filter and the buckets of the counts. */
export class CompletionStatsQuery extends PickType(CaseFilter, ['workflow_id', 'node_type'] as const) {
  @ApiPropertyOptional({ enum: ['hour', 'day'], default: 'hour', description: 'The length of a bucket.' })
  @IsOptional()
  @IsIn(['hour', 'day'], { message: 'must be hour or day' })
  interval: 'hour' | 'day' = 'hour';

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Only cases completed at this time or later. Default: 24 hours, or 30 days, before `completed_to`.',
  })
  @IsOptional()
  @IsTime()
  completed_from?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Only cases completed before this time. Default: the end of the current hour or day.',
  })
  @IsOptional()
  @IsTime()
  completed_to?: string;

  @ApiPropertyOptional({
    type: String,
    default: 'UTC',
    description: 'The IANA time zone of the hours and days, for example `Asia/Jakarta`.',
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
      validate: (value: unknown) => typeof value === 'string' && /^[a-z]/i.test(value) && isSupported(value),
      defaultMessage: () => 'must be an IANA time zone like Asia/Jakarta',
    },
  });
}

function isSupported(timeZone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** The number of cases of a node type. */
export class NodeTypeCountResponse {
  @ApiProperty({ description: "The type in the cases' own notifications.", example: 'call' })
  node_type: string;

  @ApiProperty({
    type: 'integer',
    description: 'Cases that went through a node task of this type, each counted once.',
    example: 1,
  })
  count: number;
}

/** The counts of an hour or a day. */
export class CompletionBucketResponse {
  @ApiProperty({
    format: 'date-time',
    description: 'Start of the bucket, inclusive, or `completed_from` if that is later.',
    example: '2026-01-31T09:00:00.000Z',
  })
  from: string;

  @ApiProperty({
    format: 'date-time',
    description: 'End of the bucket, exclusive, or `completed_to` if that is earlier.',
    example: '2026-01-31T10:00:00.000Z',
  })
  to: string;

  @ApiProperty({ type: 'integer', description: 'Cases completed in the bucket.', example: 1 })
  count: number;

  @ApiProperty({ type: [NodeTypeCountResponse], description: 'The same types as in the total, including zeros.' })
  node_types: NodeTypeCountResponse[];
}

/** Completions by the hour or the day. */
export class CompletionStatsResponse {
  @ApiProperty({ enum: ['hour', 'day'], description: 'The length of a bucket.', example: 'hour' })
  interval: 'hour' | 'day';

  @ApiProperty({ description: 'The time zone of the hours and days.', example: 'UTC' })
  time_zone: string;

  @ApiProperty({ type: 'integer', description: 'Cases completed in all buckets.', example: 1 })
  total: number;

  @ApiProperty({
    type: [NodeTypeCountResponse],
    description:
      'The types that occur, in alphabetical order. A case that went through two types counts for both. With the ' +
      'filter `node_type`, only that type.',
  })
  node_types: NodeTypeCountResponse[];

  @ApiProperty({ type: [CompletionBucketResponse], description: 'In order of time, without gaps.' })
  buckets: CompletionBucketResponse[];

  static from(
    this: void,
    query: { interval: 'hour' | 'day'; time_zone: string },
    bounds: readonly Date[],
    counts: readonly CountRow[],
  ): CompletionStatsResponse {
    const cases = new Map<number, number>();
    const types = new Map<string, Map<number, number>>();
    for (const { bucket, node_type, count } of counts) {
      const byBucket = node_type === null ? cases : (types.get(node_type) ?? new Map<number, number>());
      if (node_type !== null && Number(count) > 0) types.set(node_type, byBucket);
      byBucket.set(bucket, Number(count));
    }
    const sorted = [...types].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return {
      interval: query.interval,
      time_zone: query.time_zone,
      total: sum(cases),
      node_types: sorted.map(([node_type, byBucket]) => ({ node_type, count: sum(byBucket) })),
      buckets: bounds.slice(1).map((to, bucket) => ({
        from: (bounds[bucket] ?? to).toISOString(),
        to: to.toISOString(),
        count: cases.get(bucket) ?? 0,
        node_types: sorted.map(([node_type, byBucket]) => ({ node_type, count: byBucket.get(bucket) ?? 0 })),
      })),
    };
  }
}

/** The number of cases in a bucket: of all types, or of one. */
export interface CountRow {
  readonly bucket: number;
  readonly node_type: string | null;
  /** The driver returns 64-bit counts as text. */
  readonly count: string;
}

function sum(byBucket: ReadonlyMap<number, number>): number {
  return [...byBucket.values()].reduce((total, count) => total + count, 0);
}
