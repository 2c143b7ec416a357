import { Controller, Get, Headers, Query, Req, Res } from '@nestjs/common';
import { ApiHeader, ApiOkResponse, ApiOperation, ApiTags, PickType } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { ApiKey } from '../../config/api-key.js';
import { Key, NeedsScope } from '../../access/api-key.guard.js';
import { CurrentDisclosure, Disclosure } from '../../access/disclosure/disclosure.js';
import { ApiWait, PREFERENCE_APPLIED, Wait } from '../../http/rest/prefer.js';
import { ApiProblems } from '../../http/problem/problem.openapi.js';
import { CompletionQuery, CompletionsResponse } from './feed.dto.js';
import { FeedService } from './feed.service.js';
import { FeedStream } from './feed.stream.js';

class StreamQuery extends PickType(CompletionQuery, ['workflow_id', 'from', 'cursor']) {}

@Controller('v1/completions')
@ApiTags('completions')
@NeedsScope('read')
@ApiProblems(
  'invalid_request',
  'invalid_cursor',
  'cursor_expired',
  'unauthorized',
  'insufficient_scope',
  'internal_error',
  'service_unavailable',
)
export class FeedController {
  constructor(
    private readonly completions: FeedService,
    private readonly stream: FeedStream,
  ) {}

  @Get()
  @ApiOperation({
    operationId: 'listCompletions',
    summary: 'The change feed: every completion and change, in an order that never skips and never repeats',
    description:
      'Keep `next_cursor` and read the next page with it. An event that is committed later comes later, on every replica and ' +
      'in whatever order transactions end. With `Prefer: wait=N` (1 to 60 seconds) an empty answer waits for the next event. ' +
      'An event appears once all older transactions have ended. A transaction that stays open on the database delays the ' +
      'feed; it never makes it skip an event.',
  })
  @ApiWait('`wait=N`: if there are no events, wait for at most N seconds (1 to 60).')
  @ApiOkResponse({ type: CompletionsResponse, description: 'A page of the feed.', headers: PREFERENCE_APPLIED })
  async list(
    @Query() query: CompletionQuery,
    @CurrentDisclosure() disclosure: Disclosure,
    @Wait() seconds: number,
    @Res({ passthrough: true }) response: Response,
  ): Promise<CompletionsResponse> {
    const { workflow_id, limit } = query;
    let { page } = await this.completions.open(query, limit);
    if (seconds > 0) {
      if (page.rows.length === 0 && page.isAll) {
        page = await this.completions.wait(page.end, workflow_id, limit, seconds, response);
      }
      response.setHeader('Preference-Applied', `wait=${seconds}`);
    }
    return this.completions.toResponse(page, workflow_id, disclosure);
  }

  @Get('stream')
  @ApiOperation({
    operationId: 'streamCompletions',
    summary: 'The change feed as Server-Sent Events',
    description:
      'Each event has its cursor as `id`, `completed` or `changed` as `event`, and an item of `GET /v1/completions` as `data`. ' +
      'A client that reconnects with `Last-Event-ID` continues after that event. After 15 seconds without an event a comment ' +
      'with an `id` keeps the connection alive.',
  })
  @ApiHeader({
    name: 'Last-Event-ID',
    required: false,
    description: 'The `id` of the last event received. Takes precedence over `cursor`.',
    schema: { type: 'string' },
  })
  @ApiOkResponse({
    description: 'The stream. It ends when the client disconnects, the key is withdrawn or the service shuts down.',
    content: { 'text/event-stream': { schema: { type: 'string' } } },
  })
  async streamEvents(
    @Query() query: StreamQuery,
    @Key() key: ApiKey,
    @CurrentDisclosure() disclosure: Disclosure,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    const resumed = lastEventId ? { ...query, cursor: lastEventId } : query;
    if (request.method === 'HEAD') {
      await this.completions.begin(resumed);
      response.type('text/event-stream').end();
    } else await this.stream.send(resumed, key, disclosure, response);
  }
}
