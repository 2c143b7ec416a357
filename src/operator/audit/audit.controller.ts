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
    summary: 'Who was shown whole phone numbers and raw bodies, newest first',
    description:
      'A record for every answer to a key with the scope `reveal` that shows a phone number whole or a body as received; it is ' +
      'there before the answer leaves. A number that the question itself had is not counted again where it is repeated. What ' +
      'was on its way when a transfer broke off, and what an answer of `304` or to `HEAD` would have shown, is counted too.',
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
