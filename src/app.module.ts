import { type DynamicModule, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AccessModule } from './access/access.module.js';
import { CONFIG, type Config } from './config/config.js';
import { dataSourceOptions, INGEST_POOL, QUERY, QUERY_POOL } from './database/data-source.js';
import { IngestModule } from './ingest/ingest.module.js';
import { HealthModule } from './health/health.module.js';
import { MetricsModule } from './metrics/metrics.module.js';
import { OperatorModule } from './operator/operator.module.js';
import { ConnectionTracker } from './http/server/connection-tracker.js';
import { PagesController } from './http/problem/problem-pages.controller.js';
import { RestModule } from './http/rest/rest.module.js';
import { QueryModule } from './query/query.module.js';

/** Composes the modules of the service for one configuration. */
@Module({})
export class AppModule {
  /**
   * Creates the data sources unconnected, because the service accepts notifications while its database is unavailable.
   */
  static for(config: Config, databaseUrl: string | undefined): DynamicModule {
    return {
      module: AppModule,
      imports: [
        { module: ConfigModule, global: true, providers: [{ provide: CONFIG, useValue: config }], exports: [CONFIG] },
        dataSource(databaseUrl, INGEST_POOL),
        dataSource(databaseUrl, QUERY_POOL, QUERY, config.databaseReadUrls),
        MetricsModule,
        RestModule,
        AccessModule,
        HealthModule,
        IngestModule,
        QueryModule,
        OperatorModule,
      ],
      controllers: [PagesController],
      providers: [ConnectionTracker],
    };
  }
}

@Module({})
class ConfigModule {}

function dataSource(
  databaseUrl: string | undefined,
  pool: typeof INGEST_POOL,
  name?: string,
  replicaUrls?: readonly string[],
): DynamicModule {
  return TypeOrmModule.forRoot({
    ...dataSourceOptions(databaseUrl ?? 'postgres://nowhere', pool, replicaUrls),
    ...(name !== undefined && { name }),
    manualInitialization: true,
  });
}
