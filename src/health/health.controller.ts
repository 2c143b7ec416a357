import { Controller, Get, HttpStatus, Inject, Res } from '@nestjs/common';
import {
  ApiExtraModels,
  ApiOkResponse,
  ApiOperation,
  ApiProperty,
  ApiServiceUnavailableResponse,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';
import type { Response } from 'express';
import { DataSource } from 'typeorm';
import { canWrite } from '../database/write-probe.js';
import { ApiProblems, describeStatus } from '../http/problem/problem.openapi.js';
import { IngestStatus } from '../metrics/ingest-status.js';

class Liveness {
  @ApiProperty({ enum: ['live'], description: 'The process answers.' })
  status: 'live';
}

class Readiness {
  @ApiProperty({ enum: ['ready', 'not_ready'], description: 'Whether notifications can be accepted now.' })
  status: 'ready' | 'not_ready';

  @ApiProperty({
    enum: ['up', 'down'],
    description: 'Whether PostgreSQL answers within two seconds that it takes writes.',
  })
  postgres: 'up' | 'down';

  @ApiProperty({
    enum: ['empty', 'holding', 'full', 'unwritable'],
    description:
      'The spool on local disk: `holding` notifications that PostgreSQL does not have yet; `full` or `unwritable`, it takes none.',
  })
  spool: 'empty' | 'holding' | 'full' | 'unwritable';

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Notifications in the spool.' })
  spooled: number;

  @ApiProperty({
    enum: ['ok', 'full', 'unknown'],
    description:
      'The room for refused bodies. `full`: another one may be answered `503`, valid notifications are accepted as ever. ' +
      '`unknown` while PostgreSQL is down.',
  })
  quarantine: 'ok' | 'full' | 'unknown';
}

/** For orchestrators. Needs no key. */
@Controller('health')
@ApiTags('operations')
export class HealthController {
  constructor(
    @Inject(DataSource) private readonly dataSource: DataSource,
    private readonly ingest: IngestStatus,
  ) {}

  @Get('live')
  @ApiOperation({
    operationId: 'getLiveness',
    summary: 'Whether the process answers',
    description: 'If not, restart it.',
  })
  @ApiOkResponse({ type: Liveness, description: 'It answers.' })
  @ApiProblems('service_unavailable')
  live(): Liveness {
    return { status: 'live' };
  }

  @Get('ready')
  @ApiOperation({
    operationId: 'getReadiness',
    summary: 'Whether the service can accept notifications',
    description: 'If not, send no traffic here.',
  })
  @ApiOkResponse({ type: Readiness, description: 'Ready.' })
  @ApiExtraModels(Readiness)
  @ApiServiceUnavailableResponse({
    description: 'Not ready; a problem where it is being stopped.',
    content: {
      'application/json': { schema: { $ref: getSchemaPath(Readiness) } },
      ...describeStatus(503, ['service_unavailable']).content,
    },
  })
  async ready(@Res({ passthrough: true }) response: Response): Promise<Readiness> {
    const isUp = await canWrite(this.dataSource);
    if (isUp) await this.ingest.refreshQuarantine();
    const { isAccepting, spool, quarantine } = this.ingest.read();
    const isReady = isAccepting && (isUp || spool.condition === 'ok');
    if (!isReady) response.status(HttpStatus.SERVICE_UNAVAILABLE);
    return {
      status: isReady ? 'ready' : 'not_ready',
      postgres: isUp ? 'up' : 'down',
      spool: spool.condition === 'ok' ? (spool.notifications > 0 ? 'holding' : 'empty') : spool.condition,
      spooled: spool.notifications,
      quarantine: isUp ? quarantine : 'unknown',
    };
  }
}
