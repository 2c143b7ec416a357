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

const ID = ['Id of the body.', '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55'] as const;

/** Commands on the quarantine. */
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
    summary: 'Replay quarantined bodies: write those that are valid now',
    description:
      'Oldest first. A valid body becomes a notification with its id and the time of its first receipt. An invalid body stays, ' +
      'with its current faults. One call handles up to `limit` bodies, and about 32 MiB: continue with `next_cursor`. With ' +
      '`dry_run` nothing is changed, and the response has the results of a replay, including the checks of PostgreSQL. Safe ' +
      'to repeat.',
  })
  @ApiOkResponse({ type: ReplayPage, description: 'The result of each body.' })
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
    summary: 'Discard quarantined bodies permanently',
    description:
      'Oldest first, up to `limit` in one call: continue until `next_cursor` is null. With `dry_run` nothing is changed. ' +
      'Matching bodies that arrive meanwhile are discarded too; set `received_to` to exclude them.',
  })
  @ApiOkResponse({ type: DiscardPage, description: 'The discarded bodies.' })
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
    summary: 'Replay one quarantined body: write it if it is valid now',
    description:
      'A valid body becomes a notification with its id and the time of its first receipt. Safe to repeat: a replayed body is ' +
      'no longer in quarantine (`404`), but under `/v1/notifications/{id}`.',
  })
  @ApiIdParam(...ID)
  @ApiOkResponse({ type: ReplayResponse, description: 'The result.' })
  @ApiProblems('invalid_request', 'not_found')
  async replay(@IdParam() id: string, @KeyName() by: string, @Query() _none: NoQuery): Promise<ReplayResponse> {
    return orNotFound(await this.replays.replay(id, by));
  }

  @Post(':id/discard')
  @HttpCode(200)
  @JsonBody()
  @ApiOperation({
    operationId: 'discardQuarantined',
    summary: 'Discard one quarantined body permanently',
    description: 'A record of the body, the operator and the reason stays: see `/v1/quarantine/actions`.',
  })
  @ApiIdParam(...ID)
  @ApiOkResponse({ type: DiscardResponse, description: 'The body is discarded.' })
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
