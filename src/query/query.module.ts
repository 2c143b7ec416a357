import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { CasesController } from './cases/cases.controller.js';
import { CasesReader } from './cases/cases.reader.js';
import { OperationsModule } from '../health/health.module.js';
import { CompletionsController } from './feed/feed.controller.js';
import { Completions } from './feed/feed.service.js';
import { CompletionsReader } from './feed/feed.reader.js';
import { CompletionsStream } from './feed/feed.stream.js';
import { Cursors } from '../http/rest/cursor.js';
import { Ingestion } from './cases/freshness.dto.js';
import { Lookup } from './lookup/lookup.service.js';
import { LookupReader } from './lookup/lookup.reader.js';
import { ExportController } from './export/export.controller.js';
import { ExportReader } from './export/export.reader.js';
import { Exports } from './export/export.service.js';
import { NotificationsController } from './notifications/notifications.controller.js';
import { NotificationsReader } from './notifications/notifications.reader.js';
import { Reads } from '../database/query-router.js';
import { Watcher } from './waiting/commit-watcher.js';
import { StatsController } from './stats/stats.controller.js';
import { StatsReader } from './stats/stats.reader.js';
import { WorkflowsController } from './workflows/workflows.controller.js';
import { WorkflowsReader } from './workflows/workflows.reader.js';

/** Postgres → HTTP. */
@Module({
  imports: [AccessModule, OperationsModule],
  controllers: [
    WorkflowsController,
    ExportController,
    CasesController,
    NotificationsController,
    CompletionsController,
    StatsController,
  ],
  providers: [
    WorkflowsReader,
    CasesReader,
    NotificationsReader,
    Cursors,
    Reads,
    Lookup,
    LookupReader,
    Watcher,
    Ingestion,
    Completions,
    CompletionsReader,
    CompletionsStream,
    ExportReader,
    Exports,
    StatsReader,
  ],
  exports: [Cursors, Reads],
})
export class QueryModule {}
