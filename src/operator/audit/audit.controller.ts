import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { NeedsScope } from '../../access/api-key.guard.js';
import { ApiProblems } from '../../http/problem/problem.openapi.js';
import { ApiPage } from '../../http/rest/page.js';
import { AuditQuery, RevealsPage } from './audit.dto.js';
import { AuditReader } from './audit.reader.js';

@Controller('v1/audit')
@ApiTags('audit')
@NeedsScope('operate')
export class AuditController {
  constructor(private readonly audit: AuditReader) {}

  @Get()
  @ApiOperation({
    operationId: 'listReveals',
    summary: 'Disclosures of unmasked phone numbers and raw bodies, newest first',
    description:
      'A record for every response to a key with the scope `reveal` that has an unmasked phone number or a body as received. ' +
      'It is written before the response is sent. A number of the request is not counted if the response repeats it. Data of ' +
      'an aborted transfer is counted too, and so is the data that a `304` or the response to a `HEAD` leaves out.',
  })
  @ApiPage(RevealsPage)
  @ApiProblems(
    'invalid_request',
    'invalid_cursor',
    'unauthorized',
    'insufficient_scope',
    'internal_error',
    'service_unavailable',
  )
  async list(@Query() query: AuditQuery): Promise<RevealsPage> {
    return this.audit.list(query);
  }
}
