import { Body, Controller, Get, Post, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { KeyName, NeedsScope } from '../../access/api-key.guard.js';
import { JsonBody } from '../../http/rest/json-body.js';
import { ApiProblems } from '../../http/problem/problem.openapi.js';
import { NoQuery } from '../../http/rest/validation.js';
import { ApiIdParam, orNotFound, IdParam } from '../../http/rest/id-params.js';
import { ApiPage, PageQuery } from '../../http/rest/page.js';
import { ErasureService } from './erasure.service.js';
import { ErasureRequest, ErasureResponse, ErasuresPage, toSubject } from './erasure.dto.js';
import { ErasuresReader } from './erasures.reader.js';

@Controller('v1/erasures')
@ApiTags('erasures')
@NeedsScope('operate')
@ApiProblems('unauthorized', 'insufficient_scope', 'internal_error', 'service_unavailable')
export class ErasuresController {
  constructor(
    private readonly service: ErasureService,
    private readonly erasures: ErasuresReader,
  ) {}

  @Get()
  @ApiOperation({
    operationId: 'listErasures',
    summary: 'Erasures, newest first',
    description: 'The subject of an erasure is not stored.',
  })
  @ApiPage(ErasuresPage)
  @ApiProblems('invalid_request', 'invalid_cursor')
  async list(@Query() query: PageQuery): Promise<ErasuresPage> {
    return this.erasures.list(query);
  }

  @Post()
  @JsonBody()
  @ApiOperation({
    operationId: 'erase',
    summary: 'Remove all data of a person',
    description:
      'By `callee_number`, or by `workflow_id` and `case_id`, as exact matches. Removes cases, their node tasks, their ' +
      'notifications with the bytes as received, quarantined bodies that mention them, copies in the spool, and events of the ' +
      'change feed. Data received before the erasure cannot return from any spool or replica; data received later is stored. ' +
      'Data received during the erasure may be removed too. Repeat the request until the response is `201`. An erasure cannot ' +
      'be undone.',
  })
  @ApiCreatedResponse({
    type: ErasureResponse,
    description: 'The data is removed.',
    headers: {
      Location: { required: true, description: 'Path of the receipt.', schema: { type: 'string' } },
    },
  })
  async erase(
    @Body() request: ErasureRequest,
    @KeyName() keyName: string,
    @Res({ passthrough: true }) response: Response,
    @Query() _none: NoQuery,
  ): Promise<ErasureResponse> {
    const id = await this.service.erase(toSubject(request), keyName);
    response.location(`/v1/erasures/${id}`);
    return orNotFound(await this.erasures.get(id));
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getErasure', summary: 'The receipt of one erasure' })
  @ApiIdParam('Id of the erasure.', '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55')
  @ApiOkResponse({ type: ErasureResponse, description: 'The receipt.' })
  @ApiProblems('invalid_request', 'not_found')
  async get(@IdParam() id: string, @Query() _none: NoQuery): Promise<ErasureResponse> {
    return orNotFound(await this.erasures.get(id));
  }
}
