import { Module } from '@nestjs/common';
import { DoorState } from '../metrics/ingest-status.js';
import { HealthController } from './health.controller.js';
import { Metrics } from '../metrics/metrics.js';
import { MetricsController } from './metrics.controller.js';
import { QuarantineUsage } from '../ingest/quarantine/quarantine-usage.js';

/** How the service is watched. */
@Module({
  controllers: [HealthController, MetricsController],
  providers: [Metrics, DoorState, QuarantineUsage],
  exports: [Metrics, DoorState, QuarantineUsage],
})
export class OperationsModule {}
