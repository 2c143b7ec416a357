import { Global, Module } from '@nestjs/common';
import { Metrics } from './metrics.js';

/** Every module counts, so every module has the metrics. */
@Global()
@Module({ providers: [Metrics], exports: [Metrics] })
export class MetricsModule {}
