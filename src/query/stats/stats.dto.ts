import { ApiProperty } from '@nestjs/swagger';

export class NodeTypeCountResponse {
  @ApiProperty({ description: "As in the cases' own notifications.", example: 'call' })
  node_type: string;

  @ApiProperty({
    type: 'integer',
    description: 'Cases that went through a node task of this type, each counted once.',
    example: 1,
  })
  count: number;
}

/** An hour or a day. */
export class CompletionBucketResponse {
  @ApiProperty({
    format: 'date-time',
    description: 'Its beginning, or `completed_from` where that is later.',
    example: '2026-01-31T09:00:00.000Z',
  })
  from: string;

  @ApiProperty({
    format: 'date-time',
    description: 'Its end, which is not in it, or `completed_to` where that is earlier.',
    example: '2026-01-31T10:00:00.000Z',
  })
  to: string;

  @ApiProperty({ type: 'integer', description: 'Cases completed in it.', example: 1 })
  count: number;

  @ApiProperty({ type: [NodeTypeCountResponse], description: 'For the same types as in all, with zeros.' })
  node_types: NodeTypeCountResponse[];
}

/** Completions by the hour or the day. */
export class CompletionStatsResponse {
  @ApiProperty({ enum: ['hour', 'day'], description: 'What a bucket is.', example: 'hour' })
  interval: 'hour' | 'day';

  @ApiProperty({ description: 'Whose hours and days.', example: 'UTC' })
  time_zone: string;

  @ApiProperty({ type: 'integer', description: 'Cases completed in all buckets.', example: 1 })
  total: number;

  @ApiProperty({
    type: [NodeTypeCountResponse],
    description:
      'The types that occur, in alphabetical order. A case that went through two types is counted with both. With the ' +
      'filter `node_type`, only that one.',
  })
  node_types: NodeTypeCountResponse[];

  @ApiProperty({ type: [CompletionBucketResponse], description: 'In order of time, without gaps.' })
  buckets: CompletionBucketResponse[];

  static from(
    this: void,
    asked: { interval: 'hour' | 'day'; time_zone: string },
    bounds: readonly Date[],
    counts: readonly CountRow[],
  ): CompletionStatsResponse {
    const cases = new Map<number, number>();
    const types = new Map<string, Map<number, number>>();
    for (const { bucket, node_type, count } of counts) {
      const of = node_type === null ? cases : (types.get(node_type) ?? new Map<number, number>());
      if (node_type !== null && Number(count) > 0) types.set(node_type, of);
      of.set(bucket, Number(count));
    }
    const sorted = [...types].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return {
      interval: asked.interval,
      time_zone: asked.time_zone,
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

/** How many cases are in a bucket: all of them, or those that went through a type. */
export interface CountRow {
  readonly bucket: number;
  readonly node_type: string | null;
  /** PostgreSQL's counts are 64 bits wide, and come as text. */
  readonly count: string;
}

function sum(byBucket: ReadonlyMap<number, number>): number {
  return [...byBucket.values()].reduce((total, count) => total + count, 0);
}
