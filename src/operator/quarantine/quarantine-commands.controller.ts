import { Body, Controller, HttpCode, Post, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { KeyName, NeedsScope } from '../../access/api-key.guard.js';
import { JsonBody } from '../../http/rest/json-body.js';
import { ApiProblems } from '../../http/problem/problem.openapi.js';
import { NoQuery } from '../../http/rest/validation.js';
import { ApiIdParam, orNotFound, IdParam } from '../../http/rest/id-params.js';
import {
  BulkDiscardRequest,
  DiscardPage,
  DiscardRequest,
  DiscardResponse,
  ReplayPage,
  ReplayRequest,
  ReplayResponse,
} from './quarantine-commands.dto.js';
import { DiscardService } from './discard.service.js';
import { ReplayService } from './replay.service.js';

const ID = ['Id of the refused body.', '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55'] as const;

@Controller('v1/quarantine')
@ApiTags('quarantine')
@NeedsScope('operate')
@ApiProblems('unauthorized', 'insufficient_scope', 'internal_error', 'service_unavailable')
export class QuarantineCommandsController {
  constructor(
    private readonly replays: ReplayService,
    private readonly discards: DiscardService,
  ) {}

  @Post('replay')
  @HttpCode(200)
  @ApiProblems('invalid_cursor', 'not_json', 'invalid_request', 'incomplete_body')
  @JsonBody()
  @ApiOperation({
    operationId: 'replayQuarantine',
    summary: 'Judge refused bodies again, and take in what is valid now',
    description:
      'Oldest first, each as the notification that it would have been: with its id and the time of its first receipt. What is ' +
      'still not valid stays, with what is wrong with it today. One call looks at up to `limit` of them, and some 32 MiB ' +
      'of bodies: go on with `next_cursor`. With `dry_run` nothing is changed, and the answer is what a replay would ' +
      'come to now; PostgreSQL is asked too. Safe to repeat.',
  })
  @ApiOkResponse({ type: ReplayPage, description: 'What came of each.' })
  async replayMatching(
    @Body() request: ReplayRequest,
    @KeyName() by: string,
    @Query() _none: NoQuery,
  ): Promise<ReplayPage> {
    return this.replays.replayMatching(request, by);
  }

  @Post('discard')
  @HttpCode(200)
  @ApiProblems('invalid_cursor', 'not_json', 'invalid_request', 'incomplete_body')
  @JsonBody()
  @ApiOperation({
    operationId: 'discardQuarantine',
    summary: 'Remove refused bodies for good',
    description:
      'Oldest first, up to `limit` in one call: go on while `next_cursor` is not null. With `dry_run` nothing is changed. What ' +
      'arrives meanwhile and matches is discarded too: bound it by `received_to`.',
  })
  @ApiOkResponse({ type: DiscardPage, description: 'What was discarded.' })
  async discardMatching(
    @Body() request: BulkDiscardRequest,
    @KeyName() by: string,
    @Query() _none: NoQuery,
  ): Promise<DiscardPage> {
    return this.discards.discardMatching(request, by);
  }

  @Post(':id/replay')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'replayQuarantined',
    summary: 'Judge one refused body again, and take it in if it is valid now',
    description:
      'As the notification that it would have been: with its id and the time of its first receipt. Safe to repeat: once it ' +
      'is replayed it is no longer here (`404`), but under `/v1/notifications/{id}`.',
  })
  @ApiIdParam(...ID)
  @ApiOkResponse({ type: ReplayResponse, description: 'What came of it.' })
  @ApiProblems('invalid_request', 'not_found')
  async replay(@IdParam() id: string, @KeyName() by: string, @Query() _none: NoQuery): Promise<ReplayResponse> {
    return orNotFound(await this.replays.replay(id, by));
  }

  @Post(':id/discard')
  @HttpCode(200)
  @JsonBody()
  @ApiOperation({
    operationId: 'discardQuarantined',
    summary: 'Remove one refused body for good',
    description: 'That it was there, who discarded it and why is kept: see `/v1/quarantine/actions`.',
  })
  @ApiIdParam(...ID)
  @ApiOkResponse({ type: DiscardResponse, description: 'It is gone.' })
  @ApiProblems('not_found')
  async discard(
    @IdParam() id: string,
    @Body() { reason }: DiscardRequest,
    @KeyName() by: string,
    @Query() _none: NoQuery,
  ): Promise<DiscardResponse> {
    return orNotFound(await this.discards.discard(id, reason, by));
  }
}
