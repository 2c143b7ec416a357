import { type DynamicModule, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AccessModule } from './access/access.module.js';
import { CONFIG, type Config } from './config.js';
import { dataSourceOptions } from './database/data-source.js';
import { IngestModule } from './ingest/ingest.module.js';
import { OperationsModule } from './operations/operations.module.js';
import { ProblemsController } from './http/problems.controller.js';
import { QueryModule } from './query/query.module.js';

/** The whole service, for one configuration. */
@Module({})
export class AppModule {
  /** @param databaseUrl of the database to work on; undefined builds the module without ever connecting */
  static for(config: Config, databaseUrl: string | undefined): DynamicModule {
    return {
      module: AppModule,
      imports: [
        { module: ConfigModule, global: true, providers: [{ provide: CONFIG, useValue: config }], exports: [CONFIG] },
        TypeOrmModule.forRoot({
          ...dataSourceOptions(databaseUrl ?? 'postgres://nowhere'),
          manualInitialization: databaseUrl === undefined,
          retryAttempts: 0,
        }),
        AccessModule,
        OperationsModule,
        IngestModule,
        QueryModule,
      ],
      controllers: [ProblemsController],
    };
  }
}

@Module({})
class ConfigModule {}
