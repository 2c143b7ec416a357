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

/** Registered before the controller of cases, whose `:id` would match `export`. */
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
    summary: 'All matching cases, as a file',
    description: `Any number of cases, with the filters and the order of \`GET /v1/cases\`, all of one snapshot.
If the transfer fails, the connection ends without the end of the body. A client that reads nothing for a minute is
disconnected. At most two exports run at once in a process; another request receives \`503\`.

**NDJSON**: each line is a case as in \`GET /v1/cases\`, with full names.

**CSV** (RFC 4180, UTF-8 with a byte order mark, CRLF): a header, then a line for each case. Columns:
${CSV_COLUMNS.map((column) => `\`${column}\``).join(', ')}. The last four list the node tasks in order, joined by \`|\`. In a
value \`|\` is written \`\\|\`, and a backslash \`\\\\\`. A missing \`task_id\` is empty and keeps its position. A text that begins with
\`=\`, \`+\`, \`-\`, \`@\` (or their full-width forms), a tab, a carriage return, a line feed or an apostrophe gets an apostrophe
in front, so that no spreadsheet evaluates it as a formula. This includes unmasked phone numbers. To restore the text, remove
one apostrophe.`,
  })
  @ApiOkResponse({
    description: 'The file.',
    headers: {
      'Content-Disposition': {
        description: 'The name of the file.',
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

/** The types have a charset, so that they match an `Accept` with and without one. */
function preferred(request: Request): keyof typeof EXPORT_FORMATS {
  const csv = `${EXPORT_FORMATS.csv.mediaType}; charset=utf-8`;
  return request.accepts([`${EXPORT_FORMATS.ndjson.mediaType}; charset=utf-8`, csv]) === csv ? 'csv' : 'ndjson';
}

/** The current time without characters that file names must not have. */
function timestamp(): string {
  return new Date().toISOString().replace(/[-:]|\.\d+/g, '');
}
