import { Module } from '@nestjs/common';
import { PoolMetrics } from '../database/pool-metrics.js';
import { HealthController } from './health.controller.js';
import { MetricsController } from './metrics.controller.js';

/** Endpoints for orchestrators and Prometheus. */
@Module({ controllers: [HealthController, MetricsController], providers: [PoolMetrics] })
export class HealthModule {}
