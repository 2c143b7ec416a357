import { Injectable } from '@nestjs/common';
import type { Snapshot } from '../../database/snapshot.js';
import { Problem } from '../../http/problem/problem.js';
import { QueryRouter } from '../../database/query-router.js';
import { BOUNDS } from './buckets.sql.js';
import { type CompletionStatsQuery, CompletionStatsResponse, type CountRow } from './stats.dto.js';
import { LIST_NODE_TYPES, statsStatement } from './stats.sql.js';
import { parseTime } from '../../http/rest/time.js';

const MAX_BUCKETS = 1_000;
const INTERVAL_MS = { hour: 3_600_000, day: 86_400_000 };
/** The SQLSTATE of an unknown time zone. */
const INVALID_PARAMETER_VALUE = '22023';

/** The indexes have every counted column. For a bucket with most of a table the planner would scan the table. */
export const STATS_SETTINGS = { jit: 'off', enable_seqscan: 'off' };

/** Counts completions exactly, all of one snapshot. */
@Injectable()
export class StatsReader {
  constructor(private readonly queries: QueryRouter) {}

  async countCompletions(query: CompletionStatsQuery): Promise<CompletionStatsResponse> {
    const now = new Date();
    const from = query.completed_from === undefined ? undefined : parseTime(query.completed_from);
    const to = query.completed_to === undefined ? undefined : parseTime(query.completed_to);
    rejectTooManyBuckets(query.interval, from, to ?? now);
    const [snapshot, stats] = await this.queries.snapshot(STATS_SETTINGS, async (opened) => {
      const bounds = await readBounds(opened, query, [from, to, now, query.time_zone]);
      const counts = bounds.length > 0 ? await readCounts(opened, query, bounds) : [];
      return CompletionStatsResponse.from(query, bounds, counts);
    });
    await snapshot.release();
    return stats;
  }
}

function rejectTooManyBuckets(interval: 'hour' | 'day', from: Date | undefined, to: Date): void {
  if (from === undefined || to.getTime() - from.getTime() <= MAX_BUCKETS * INTERVAL_MS[interval]) return;
  const message = `must be at most ${MAX_BUCKETS} ${interval}s before completed_to`;
  throw new Problem('invalid_request', 'The request is not valid: see errors.', [{ path: 'completed_from', message }]);
}

/** @throws Problem `invalid_request` if PostgreSQL does not have the time zone */
async function readBounds(
  snapshot: Snapshot,
  { interval }: CompletionStatsQuery,
  parameters: readonly unknown[],
): Promise<Date[]> {
  try {
    return (await snapshot.query<{ at: Date }>(BOUNDS[interval], parameters)).map(({ at }) => at);
  } catch (error) {
    if ((error as { code?: string }).code !== INVALID_PARAMETER_VALUE) throw error;
    const message = 'must be a time zone that the database supports';
    throw new Problem('invalid_request', 'The request is not valid: see errors.', [{ path: 'time_zone', message }]);
  }
}

async function readCounts(
  snapshot: Snapshot,
  query: CompletionStatsQuery,
  bounds: readonly Date[],
): Promise<CountRow[]> {
  const { node_type, workflow_id } = query;
  const needsTypes = node_type === undefined && workflow_id === undefined;
  const types = needsTypes ? await snapshot.query<{ node_type: string }>(LIST_NODE_TYPES) : [];
  const { text, parameters } = statsStatement(
    query,
    bounds,
    types.map((type) => type.node_type),
  );
  const counts = await snapshot.query<CountRow>(text, parameters);
  return node_type === undefined ? counts : counts.flatMap((row) => [row, { ...row, node_type: null }]);
}
