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
    summary: 'How many cases were completed, by the hour or the day',
    description:
      'Exact, all as of one moment, and equal to `total` of `GET /v1/cases` with the same filters. Buckets follow the ' +
      'clocks of `time_zone`: a day on which they are changed has 23 or 25 hours. Where `completed_from` or `completed_to` ' +
      'lies within an hour or a day, the first or the last bucket is only the part that was asked for. At most 1,000 buckets.',
  })
  @ApiOkResponse({ type: CompletionStatsResponse, description: 'The counts.' })
  async countCompletions(@Query() query: CompletionStatsQuery): Promise<CompletionStatsResponse> {
    return this.stats.countCompletions(query);
  }
}
