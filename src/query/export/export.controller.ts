import { Controller, Get, Query, Req, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { NeedsScope } from '../../access/api-key.guard.js';
import { CurrentDisclosure, Disclosure } from '../../access/disclosure/disclosure.js';
import { ApiProblems } from '../../http/problem/problem.openapi.js';
import { CSV_COLUMNS, EXPORT_FORMATS } from './export.formats.js';
import { ExportQuery } from './export.dto.js';
import { ExportReader } from './export.reader.js';
import { ExportService } from './export.service.js';

/** Comes before the controller of cases, which would take `export` for the id of a case. */
@Controller('v1/cases/export')
@ApiTags('cases')
@NeedsScope('read')
export class ExportController {
  constructor(
    private readonly exports: ExportService,
    private readonly reader: ExportReader,
  ) {}

  @Get()
  @ApiOperation({
    operationId: 'exportCases',
    summary: 'All cases that match, as a file',
    description: `The cases of \`GET /v1/cases\` with the same filters and order, all as they were at one moment, however many.
A transfer that breaks off is not complete: the connection then ends without the end of the body. Whoever reads nothing for
a minute is cut off. At most two exports run at once in a process; another is answered \`503\`.

**NDJSON**: on each line a case as \`GET /v1/cases\` has it, with names whole.

**CSV** (RFC 4180, UTF-8 with a byte order mark, CRLF): a header, then a line for each case. Columns:
${CSV_COLUMNS.map((column) => `\`${column}\``).join(', ')}. The last four list the node tasks in order, joined by \`|\`; in a
value \`|\` is written \`\\|\`, and a backslash \`\\\\\`; a missing \`task_id\` is empty and keeps its place. So that no
spreadsheet takes a text for a formula, one that begins with \`=\`, \`+\`, \`-\` or \`@\` (full-width ones too), a tab, a carriage
return or a line feed has an apostrophe before it, whole phone numbers too; and so has one that begins with an apostrophe: taking
one away gives back what it was.`,
  })
  @ApiOkResponse({
    description: 'The file.',
    headers: {
      'Content-Disposition': {
        description: 'Its name.',
        schema: { type: 'string', example: 'attachment; filename="cases-20261122T170223Z.csv"' },
      },
    },
    content: {
      'application/x-ndjson': { schema: { type: 'string' } },
      'text/csv': { schema: { type: 'string' } },
    },
  })
  @ApiProblems('invalid_request', 'unauthorized', 'insufficient_scope', 'internal_error', 'service_unavailable')
  async export(
    @Query() query: ExportQuery,
    @CurrentDisclosure() disclosure: Disclosure,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    const name = query.format ?? preferred(request);
    const headers = {
      'Content-Type': EXPORT_FORMATS[name].contentType,
      'Content-Disposition': `attachment; filename="cases-${timestamp()}.${name}"`,
    };
    response.vary('Accept');
    if (request.method === 'HEAD') response.set(headers).end();
    else {
      await this.exports.send(response, headers, (signal) =>
        this.reader.read(query, disclosure, EXPORT_FORMATS[name], signal),
      );
    }
  }
}

/** With its charset a type meets an `Accept` that names it with a charset too. */
function preferred(request: Request): keyof typeof EXPORT_FORMATS {
  const csv = `${EXPORT_FORMATS.csv.mediaType}; charset=utf-8`;
  return request.accepts([`${EXPORT_FORMATS.ndjson.mediaType}; charset=utf-8`, csv]) === csv ? 'csv' : 'ndjson';
}

/** Without what has no place in the name of a file. */
function timestamp(): string {
  return new Date().toISOString().replace(/[-:]|\.\d+/g, '');
}
