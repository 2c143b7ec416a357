import { Module } from '@nestjs/common';
import { DoorState } from './door-state.js';
import { HealthController } from './health.controller.js';
import { Metrics } from './metrics.js';
import { MetricsController } from './metrics.controller.js';
import { QuarantineUsage } from './quarantine-usage.js';

/** How the service is watched. */
@Module({
  controllers: [HealthController, MetricsController],
  providers: [Metrics, DoorState, QuarantineUsage],
  exports: [Metrics, DoorState, QuarantineUsage],
})
export class OperationsModule {}
