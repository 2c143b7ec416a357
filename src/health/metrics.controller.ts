import { Controller, Get, Header } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../http/problem/problem.openapi.js';
import { Metrics } from '../metrics/metrics.js';

@Controller('metrics')
@ApiTags('operations')
export class MetricsController {
  constructor(private readonly metrics: Metrics) {}

  @Get()
  @Header('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
  @ApiOperation({
    operationId: 'getMetrics',
    summary: 'Metrics for Prometheus',
    description: 'Needs no key; shows no number, id or key.',
  })
  @ApiOkResponse({ description: 'Prometheus text format.', content: { 'text/plain': { schema: { type: 'string' } } } })
  @ApiProblems('service_unavailable')
  async get(): Promise<string> {
    return this.metrics.registry.metrics();
  }
}
