import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { NeedsScope, Reveals } from '../access/api-key.guard.js';
import { ApiProblems } from '../http/problem.openapi.js';
import { NoQuery } from '../http/validation.js';
import { CaseQuery } from './case.query.js';
import { CaseResponse } from './case.response.js';
import { CasesReader } from './cases.reader.js';
import { ApiIdParam, found, IdParam } from './found.js';
import { NotificationResponse } from './notification.response.js';
import { NotificationsReader } from './notifications.reader.js';
import { ApiPage, type Page, PageQuery } from './page.js';

@Controller('v1/cases')
@ApiTags('cases')
@NeedsScope('read')
@ApiProblems('invalid_request', 'unauthorized', 'insufficient_scope', 'internal_error', 'service_unavailable')
export class CasesController {
  constructor(
    private readonly cases: CasesReader,
    private readonly notifications: NotificationsReader,
  ) {}

  @Get()
  @ApiOperation({
    operationId: 'listCases',
    summary: 'Completed cases, by any of their ids',
    description:
      'Newest completion first unless `order=asc`. Paging neither skips nor repeats a case while others arrive; a ' +
      'case may change its place only when an older delivery of it arrives late and moves its completion back. To ask ' +
      'whether one case is done, filter by its `case_id`: an empty list means that nothing was received yet.',
  })
  @ApiPage(CaseResponse, {
    total: { type: 'integer', description: 'Only with `include_total`: all cases that match.' },
  })
  @ApiProblems('invalid_request', 'invalid_cursor')
  async list(@Query() query: CaseQuery, @Reveals() reveals: boolean): Promise<Page<CaseResponse>> {
    return this.cases.list(query, reveals);
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getCase', summary: 'One case with its node tasks in order' })
  @ApiIdParam('Id of the case in this service.', '0198c7a2-5f0f-7b11-8c2e-4d1f0a9b3c77')
  @ApiOkResponse({ type: CaseResponse, description: 'The case.' })
  @ApiProblems('not_found')
  async get(@IdParam() id: string, @Reveals() reveals: boolean, @Query() _none: NoQuery): Promise<CaseResponse> {
    return found(await this.cases.get(id, reveals));
  }

  @Get(':id/notifications')
  @ApiOperation({
    operationId: 'listCaseNotifications',
    summary: 'The timeline of a case: every delivery with its verdict',
    description: 'In order of receipt.',
  })
  @ApiIdParam('Id of the case in this service.', '0198c7a2-5f0f-7b11-8c2e-4d1f0a9b3c77')
  @ApiPage(NotificationResponse)
  @ApiProblems('invalid_request', 'invalid_cursor', 'not_found')
  async listNotifications(
    @IdParam() id: string,
    @Query() query: PageQuery,
    @Reveals() reveals: boolean,
  ): Promise<Page<NotificationResponse>> {
    return found(await this.notifications.listOfCase(id, query, reveals));
  }
}
