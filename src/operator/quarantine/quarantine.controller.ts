import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { NeedsScope } from '../../access/api-key.guard.js';
import { CurrentDisclosure, Disclosure } from '../../access/disclosure/disclosure.js';
import { ApiProblems } from '../../http/problem/problem.openapi.js';
import { NoQuery } from '../../http/rest/validation.js';
import { ApiIdParam, orNotFound, IdParam } from '../../http/rest/id-params.js';
import { ApiPage, PageQuery } from '../../http/rest/page.js';
import { QuarantineActionsPage } from './quarantine-action.dto.js';
import { QuarantinePage, QuarantineQuery, QuarantineWithBodyResponse } from './quarantine.dto.js';
import { QuarantineReader } from './quarantine.reader.js';

@Controller('v1/quarantine')
@ApiTags('quarantine')
@NeedsScope('operate')
@ApiProblems('unauthorized', 'insufficient_scope', 'internal_error', 'service_unavailable')
export class QuarantineController {
  constructor(private readonly quarantine: QuarantineReader) {}

  @Get()
  @ApiOperation({
    operationId: 'listQuarantine',
    summary: 'Quarantined bodies, newest first',
    description:
      'Every body that was rejected for its content, with the reason, in the order of its first receipt. Equal bytes with the ' +
      'same reason are one body with a count. Replayed and discarded bodies are under `/v1/quarantine/actions`.',
  })
  @ApiPage(QuarantinePage)
  @ApiProblems('invalid_request', 'invalid_cursor')
  async list(@Query() query: QuarantineQuery, @CurrentDisclosure() disclosure: Disclosure): Promise<QuarantinePage> {
    return this.quarantine.list(query, disclosure);
  }

  @Get('actions')
  @ApiOperation({
    operationId: 'listQuarantineActions',
    summary: 'Removals from the quarantine with the operator and the reason, newest first',
    description: 'The records have no content of the bodies.',
  })
  @ApiPage(QuarantineActionsPage)
  @ApiProblems('invalid_request', 'invalid_cursor')
  async listActions(@Query() query: PageQuery): Promise<QuarantineActionsPage> {
    return this.quarantine.listActions(query);
  }

  @Get(':id')
  @ApiOperation({
    operationId: 'getQuarantined',
    summary: 'One quarantined body',
    description: 'With the scope `reveal` also the bytes as received.',
  })
  @ApiIdParam('Id of the body: the X-Request-Id of its first receipt.', '0198c7a2-5f0e-7c3a-9d41-2f6b8e1c7a55')
  @ApiOkResponse({ type: QuarantineWithBodyResponse, description: 'The quarantined body.' })
  @ApiProblems('invalid_request', 'not_found')
  async get(
    @IdParam() id: string,
    @CurrentDisclosure() disclosure: Disclosure,
    @Query() _none: NoQuery,
  ): Promise<QuarantineWithBodyResponse> {
    return orNotFound(await this.quarantine.get(id, disclosure));
  }
}
