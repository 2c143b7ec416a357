import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { CasesController } from './cases/cases.controller.js';
import { CasesReader } from './cases/cases.reader.js';
import { FeedController } from './feed/feed.controller.js';
import { FeedService } from './feed/feed.service.js';
import { FeedReader } from './feed/feed.reader.js';
import { FeedStream } from './feed/feed.stream.js';
import { IngestFreshness } from './cases/freshness.dto.js';
import { LookupController } from './lookup/lookup.controller.js';
import { LookupService } from './lookup/lookup.service.js';
import { LookupReader } from './lookup/lookup.reader.js';
import { ExportController } from './export/export.controller.js';
import { ExportReader } from './export/export.reader.js';
import { ExportService } from './export/export.service.js';
import { CaseNotificationsController, NotificationsController } from './notifications/notifications.controller.js';
import { NotificationsReader } from './notifications/notifications.reader.js';
import { CommitWatcher } from './waiting/commit-watcher.js';
import { StatsController } from './stats/stats.controller.js';
import { StatsReader } from './stats/stats.reader.js';
import { WorkflowsController } from './workflows/workflows.controller.js';
import { WorkflowsReader } from './workflows/workflows.reader.js';

/** The way from PostgreSQL to HTTP. */
@Module({
  imports: [AccessModule],
  controllers: [
    WorkflowsController,
    ExportController,
    LookupController,
    CasesController,
    CaseNotificationsController,
    NotificationsController,
    FeedController,
    StatsController,
  ],
  providers: [
    WorkflowsReader,
    CasesReader,
    NotificationsReader,
    LookupService,
    LookupReader,
    CommitWatcher,
    IngestFreshness,
    FeedService,
    FeedReader,
    FeedStream,
    ExportReader,
    ExportService,
    StatsReader,
  ],
})
export class QueryModule {}
