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
    summary: 'Look up many cases: one verdict for each',
    description:
      'One verdict for every item, in the order of the request, including duplicates. With `Prefer: wait=N` (1 to 60 seconds) ' +
      'the response comes once all cases are completed (`mode` `any`: one of them), or when the time is up, with the verdicts ' +
      'at that time and `200` too. A response has at most 100 cases per item, 10,000 cases in all, and 8 MiB.',
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
    const lookup =
      seconds === 0
        ? await this.lookups.lookUp(request, disclosure)
        : await this.lookups.wait(request, disclosure, seconds, response);
    if (seconds > 0) response.setHeader('Preference-Applied', `wait=${seconds}`);
    return request.strict ? allSeen(lookup) : lookup;
  }
}

function allSeen(lookup: LookupResponse): LookupResponse {
  const errors = lookup.data.flatMap(({ status }, index) =>
    status === 'not_seen' ? [{ path: `cases[${index}]`, message: 'was not seen' }] : [],
  );
  if (errors.length === 0) return lookup;
  throw new Problem('not_seen', `${errors.length} of ${lookup.data.length} cases were not seen: see errors.`, errors);
}
