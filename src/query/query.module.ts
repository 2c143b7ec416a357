import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { CasesController } from './cases.controller.js';
import { CasesReader } from './cases.reader.js';
import { OperationsModule } from '../operations/operations.module.js';
import { CompletionsController } from './completions.controller.js';
import { Completions } from './completions.js';
import { CompletionsReader } from './completions.reader.js';
import { CompletionsStream } from './completions.stream.js';
import { Cursors } from './cursor.js';
import { Ingestion } from './ingestion.js';
import { Lookup } from './lookup.js';
import { LookupReader } from './lookup.reader.js';
import { ExportController } from './export.controller.js';
import { ExportReader } from './export.reader.js';
import { Exports } from './exports.js';
import { NotificationsController } from './notifications.controller.js';
import { NotificationsReader } from './notifications.reader.js';
import { Reads } from './reads.js';
import { Watcher } from './watcher.js';
import { StatsController } from './stats.controller.js';
import { StatsReader } from './stats.reader.js';
import { WorkflowsController } from './workflows.controller.js';
import { WorkflowsReader } from './workflows.reader.js';

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
