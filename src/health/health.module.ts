import { Module } from '@nestjs/common';
import { IngestStatus } from '../metrics/ingest-status.js';
import { HealthController } from './health.controller.js';
import { Metrics } from '../metrics/metrics.js';
import { MetricsController } from './metrics.controller.js';
import { QuarantineUsage } from '../ingest/quarantine/quarantine-usage.js';

/** How the service is watched. */
@Module({
  controllers: [HealthController, MetricsController],
  providers: [Metrics, IngestStatus, QuarantineUsage],
  exports: [Metrics, IngestStatus, QuarantineUsage],
})
export class HealthModule {}
