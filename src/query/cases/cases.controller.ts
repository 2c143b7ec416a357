import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { NeedsScope } from '../../access/api-key.guard.js';
import { CurrentDisclosure, Disclosure } from '../../access/disclosure/disclosure.js';
import { ApiProblems } from '../../http/problem/problem.openapi.js';
import { NoQuery } from '../../http/rest/validation.js';
import { CaseQuery } from './case-filter.dto.js';
import { CaseResponse, CasesPage } from './case.dto.js';
import { CasesReader } from './cases.reader.js';
import { ApiIdParam, orNotFound, IdParam } from '../../http/rest/id-params.js';
import { ApiPage } from '../../http/rest/page.js';

@Controller('v1/cases')
@ApiTags('cases')
@NeedsScope('read')
@ApiProblems('invalid_request', 'unauthorized', 'insufficient_scope', 'internal_error', 'service_unavailable')
export class CasesController {
  constructor(private readonly cases: CasesReader) {}

  @Get()
  @ApiOperation({
    operationId: 'listCases',
    summary: 'Completed cases, by any of their ids',
    description:
      'Newest completion first unless `order=asc`. Paging neither skips nor repeats a case while others arrive. A case moves ' +
      'only if an older delivery of it arrives late and its completion becomes earlier. A page has fewer rows than `limit` if ' +
      'the cases are very large; `next_cursor` is null on the last page only. To check one case, filter by its `case_id`: an ' +
      'empty list means that nothing was received yet.',
  })
  @ApiPage(CasesPage)
  @ApiProblems('invalid_request', 'invalid_cursor')
  async list(@Query() query: CaseQuery, @CurrentDisclosure() disclosure: Disclosure): Promise<CasesPage> {
    return this.cases.list(query, disclosure);
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getCase', summary: 'One case with its node tasks in order' })
  @ApiIdParam('Id of the case in this service.', '0198c7a2-5f0f-7b11-8c2e-4d1f0a9b3c77')
  @ApiOkResponse({ type: CaseResponse, description: 'The case.' })
  @ApiProblems('not_found')
  async get(
    @IdParam() id: string,
    @CurrentDisclosure() disclosure: Disclosure,
    @Query() _none: NoQuery,
  ): Promise<CaseResponse> {
    return orNotFound(await this.cases.get(id, disclosure));
  }
}
