import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { NeedsScope } from '../../access/api-key.guard.js';
import { ApiProblems } from '../../http/problem/problem.openapi.js';
import { CompletionStatsQuery, CompletionStatsResponse } from './stats.dto.js';
import { StatsReader } from './stats.reader.js';

@Controller('v1/stats')
@ApiTags('stats')
@NeedsScope('read')
@ApiProblems('invalid_request', 'unauthorized', 'insufficient_scope', 'internal_error', 'service_unavailable')
export class StatsController {
  constructor(private readonly stats: StatsReader) {}

  @Get('completions')
  @ApiOperation({
    operationId: 'countCompletions',
    summary: 'Number of completed cases, by the hour or the day',
    description:
      'Exact, of one snapshot, and equal to `total` of `GET /v1/cases` with the same filters. Buckets follow the clock of ' +
      '`time_zone`: a day has 23 or 25 hours if that changes. If `completed_from` or `completed_to` lies within an hour or a ' +
      'day, the first or last bucket is only that part. At most 1,000 buckets.',
  })
  @ApiOkResponse({ type: CompletionStatsResponse, description: 'The counts.' })
  async countCompletions(@Query() query: CompletionStatsQuery): Promise<CompletionStatsResponse> {
    return this.stats.countCompletions(query);
  }
}
