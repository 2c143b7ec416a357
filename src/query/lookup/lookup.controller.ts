import { Body, Controller, HttpCode, Post, Query, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { NeedsScope } from '../../access/api-key.guard.js';
import { CurrentDisclosure, Disclosure } from '../../access/disclosure/disclosure.js';
import { ApiProblems } from '../../http/problem/problem.openapi.js';
import { Problem } from '../../http/problem/problem.js';
import { JsonBody } from '../../http/rest/json-body.js';
import { ApiWait, PREFERENCE_APPLIED, Wait } from '../../http/rest/prefer.js';
import { NoQuery } from '../../http/rest/validation.js';
import { LookupRequest, LookupResponse } from './lookup.dto.js';
import { LookupService } from './lookup.service.js';

@Controller('v1/cases')
@ApiTags('cases')
@NeedsScope('read')
@ApiProblems('invalid_request', 'unauthorized', 'insufficient_scope', 'internal_error', 'service_unavailable')
export class LookupController {
  constructor(private readonly lookups: LookupService) {}

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
    @CurrentDisclosure() disclosure: Disclosure,
    @Wait() seconds: number,
    @Res({ passthrough: true }) response: Response,
    @Query() _none: NoQuery,
  ): Promise<LookupResponse> {
    const answer =
      seconds === 0
        ? await this.lookups.ask(request, disclosure)
        : await this.lookups.wait(request, disclosure, seconds, response);
    if (seconds > 0) response.setHeader('Preference-Applied', `wait=${seconds}`);
    return request.strict ? allSeen(answer) : answer;
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
