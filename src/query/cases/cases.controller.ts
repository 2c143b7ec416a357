import { Body, Controller, Get, HttpCode, Post, Query, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { NeedsScope } from '../../access/api-key.guard.js';
import { CurrentDisclosure, Disclosure } from '../../access/disclosure/disclosure.js';
import type { Response } from 'express';
import { JsonBody } from '../../http/rest/json-body.js';
import { ApiWait, PREFERENCE_APPLIED, Wait } from '../../http/rest/prefer.js';
import { Problem } from '../../http/problem/problem.js';
import { ApiProblems } from '../../http/problem/problem.openapi.js';
import { NoQuery } from '../../http/rest/validation.js';
import { CaseQuery } from './case-filter.dto.js';
import { CaseResponse, CasesPage } from './case.dto.js';
import { CasesReader } from './cases.reader.js';
import { ApiIdParam, orNotFound, IdParam } from '../../http/rest/id-params.js';
import { LookupService } from '../lookup/lookup.service.js';
import { LookupRequest } from '../lookup/lookup-request.dto.js';
import { LookupResponse } from '../lookup/lookup.dto.js';
import { NotificationsPage } from '../notifications/notification.dto.js';
import { NotificationsReader } from '../notifications/notifications.reader.js';
import { ApiPage, PageQuery } from '../../http/rest/page.js';

@Controller('v1/cases')
@ApiTags('cases')
@NeedsScope('read')
@ApiProblems('invalid_request', 'unauthorized', 'insufficient_scope', 'internal_error', 'service_unavailable')
export class CasesController {
  constructor(
    private readonly cases: CasesReader,
    private readonly notifications: NotificationsReader,
    private readonly lookups: LookupService,
  ) {}

  @Get()
  @ApiOperation({
    operationId: 'listCases',
    summary: 'Completed cases, by any of their ids',
    description:
      'Newest completion first unless `order=asc`. Paging neither skips nor repeats a case while others arrive; a ' +
      'case may change its place only when an older delivery of it arrives late and moves its completion back. Very large ' +
      'cases make a page shorter: `next_cursor` says whether there are more. To ask ' +
      'whether one case is done, filter by its `case_id`: an empty list means that nothing was received yet.',
  })
  @ApiPage(CasesPage)
  @ApiProblems('invalid_request', 'invalid_cursor')
  async list(@Query() query: CaseQuery, @CurrentDisclosure() sight: Disclosure): Promise<CasesPage> {
    return this.cases.list(query, sight);
  }

  @Post('lookup')
  @HttpCode(200)
  @JsonBody()
  @ApiOperation({
    operationId: 'lookupCases',
    summary: 'Whether many cases are done: one verdict for each',
    description:
      'One verdict for every item, in the order asked, duplicates included. With `Prefer: wait=N` (1 to 60 seconds) the answer ' +
      'comes as soon as all asked cases are completed (`mode` `any`: one of them), else when the time is up, with what is so ' +
      'then: that is `200` too. Of one item at most 100 cases are shown, of all together 10,000, and some 8 MiB.',
  })
  @ApiWait('`wait=N`: wait for at most N seconds (1 to 60).')
  @ApiOkResponse({ type: LookupResponse, description: 'The verdicts.', headers: PREFERENCE_APPLIED })
  @ApiProblems('not_seen')
  async lookup(
    @Body() request: LookupRequest,
    @CurrentDisclosure() sight: Disclosure,
    @Wait() seconds: number,
    @Res({ passthrough: true }) response: Response,
    @Query() _none: NoQuery,
  ): Promise<LookupResponse> {
    const answer =
      seconds === 0
        ? await this.lookups.ask(request, sight)
        : await this.lookups.wait(request, sight, seconds, response);
    if (seconds > 0) response.setHeader('Preference-Applied', `wait=${seconds}`);
    return request.strict ? allSeen(answer) : answer;
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getCase', summary: 'One case with its node tasks in order' })
  @ApiIdParam('Id of the case in this service.', '0198c7a2-5f0f-7b11-8c2e-4d1f0a9b3c77')
  @ApiOkResponse({ type: CaseResponse, description: 'The case.' })
  @ApiProblems('not_found')
  async get(
    @IdParam() id: string,
    @CurrentDisclosure() sight: Disclosure,
    @Query() _none: NoQuery,
  ): Promise<CaseResponse> {
    return orNotFound(await this.cases.get(id, sight));
  }

  @Get(':id/notifications')
  @ApiOperation({
    operationId: 'listCaseNotifications',
    summary: 'The timeline of a case: every delivery with its verdict',
    description: 'In order of receipt.',
  })
  @ApiIdParam('Id of the case in this service.', '0198c7a2-5f0f-7b11-8c2e-4d1f0a9b3c77')
  @ApiPage(NotificationsPage)
  @ApiProblems('invalid_request', 'invalid_cursor', 'not_found')
  async listNotifications(
    @IdParam() id: string,
    @Query() query: PageQuery,
    @CurrentDisclosure() sight: Disclosure,
  ): Promise<NotificationsPage> {
    return orNotFound(await this.notifications.listOfCase(id, query, sight));
  }
}

function allSeen(answer: LookupResponse): LookupResponse {
  const errors = answer.data.flatMap(({ status }, index) =>
    status === 'not_seen' ? [{ path: `cases[${index}]`, message: 'was not seen' }] : [],
  );
  if (errors.length === 0) return answer;
  throw new Problem(
    'not_seen',
    `Of ${answer.data.length} asked cases ${errors.length} were not seen: see errors.`,
    errors,
  );
}
