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
      'Keep `next_cursor` and ask on with it: what is committed later comes later, on whatever replica, whatever order ' +
      'transactions end in. With `Prefer: wait=N` (1 to 60 seconds) an answer that would have nothing to tell waits until it has. ' +
      'An event appears once all transactions that began before it have ended, so one that somebody leaves open on the ' +
      'database holds the feed back; it never makes it skip.',
  })
  @ApiWait('`wait=N`: if there is nothing to tell, wait for at most N seconds (1 to 60).')
  @ApiOkResponse({ type: CompletionsResponse, description: 'A stretch of the feed.', headers: PREFERENCE_APPLIED })
  async list(
    @Query() query: CompletionQuery,
    @CurrentDisclosure() disclosure: Disclosure,
    @Wait() seconds: number,
    @Res({ passthrough: true }) response: Response,
  ): Promise<CompletionsResponse> {
    const { workflow_id, limit } = query;
    let { stretch } = await this.completions.open(query, limit);
    if (seconds > 0) {
      if (stretch.rows.length === 0 && stretch.isAll) {
        stretch = await this.completions.wait(stretch.end, workflow_id, limit, seconds, response);
      }
      response.setHeader('Preference-Applied', `wait=${seconds}`);
    }
    return this.completions.toResponse(stretch, workflow_id, disclosure);
  }

  @Get('stream')
  @ApiOperation({
    operationId: 'streamCompletions',
    summary: 'The change feed as Server-Sent Events',
    description:
      'Each event has the cursor as its `id`, `completed` or `changed` as its `event`, and an item of `GET /v1/completions` as its ' +
      '`data`. A client that comes back with `Last-Event-ID` goes on where it was. Every 15 seconds without an event a comment ' +
      'keeps the connection alive, with an `id` of its own.',
  })
  @ApiHeader({
    name: 'Last-Event-ID',
    required: false,
    description: 'The `id` of the last event seen. Counts before `cursor`.',
    schema: { type: 'string' },
  })
  @ApiOkResponse({
    description: 'The stream; it ends when the client goes, the key is withdrawn or the service is stopped.',
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
    const question = !lastEventId ? query : { ...query, cursor: lastEventId };
    if (request.method === 'HEAD') {
      await this.completions.begin(question);
      response.type('text/event-stream').end();
    } else await this.stream.send(question, key, disclosure, response);
  }
}
