import { Controller, Get, HttpStatus, Inject, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty, ApiServiceUnavailableResponse, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { DataSource } from 'typeorm';

const CHECK_TIMEOUT_MS = 2_000;

/** False on a standby, and in a database that somebody made anew. */
const CAN_WRITE = `
  SELECT current_setting('transaction_read_only') = 'off' AND to_regclass('notifications') IS NOT NULL AS can_write`;

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
}

/** For orchestrators. Needs no key. */
@Controller('health')
@ApiTags('operations')
export class HealthController {
  constructor(@Inject(DataSource) private readonly dataSource: DataSource) {}

  @Get('live')
  @ApiOperation({
    operationId: 'getLiveness',
    summary: 'Whether the process answers',
    description: 'If not, restart it.',
  })
  @ApiOkResponse({ type: Liveness, description: 'It answers.' })
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
  @ApiServiceUnavailableResponse({ type: Readiness, description: 'Not ready.' })
  async ready(@Res({ passthrough: true }) response: Response): Promise<Readiness> {
    const isUp = await this.postgresAnswers();
    if (!isUp) response.status(HttpStatus.SERVICE_UNAVAILABLE);
    return isUp ? { status: 'ready', postgres: 'up' } : { status: 'not_ready', postgres: 'down' };
  }

  private async postgresAnswers(): Promise<boolean> {
    const tooLong = new Promise<false>((resolve) => setTimeout(resolve, CHECK_TIMEOUT_MS, false).unref());
    const answer = this.dataSource.query<[{ can_write: boolean }]>(CAN_WRITE).then(
      ([row]) => row.can_write,
      () => false,
    );
    return Promise.race([answer, tooLong]);
  }
}
