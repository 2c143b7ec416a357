import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { IngestModule } from '../ingest/ingest.module.js';
import { OperationsModule } from '../health/health.module.js';
import { QueryModule } from '../query/query.module.js';
import { AuditController } from './audit/audit.controller.js';
import { AuditReader } from './audit/audit.reader.js';
import { Eraser } from './erasure/erasure.service.js';
import { ErasuresController } from './erasure/erasures.controller.js';
import { ErasuresReader } from './erasure/erasures.reader.js';
import { Discards } from './quarantine/discard.service.js';
import { QuarantineActs } from './quarantine/quarantine-lock.js';
import { QuarantineActsController } from './quarantine/quarantine-commands.controller.js';
import { QuarantineController } from './quarantine/quarantine.controller.js';
import { Retention } from './retention/retention.job.js';
import { QuarantineReader } from './quarantine/quarantine.reader.js';
import { Replays } from './quarantine/replay.service.js';

/** What an operator does with what is kept. It uses both halves; neither knows of it. */
@Module({
  imports: [AccessModule, IngestModule, QueryModule, OperationsModule],
  controllers: [QuarantineController, QuarantineActsController, ErasuresController, AuditController],
  providers: [QuarantineReader, QuarantineActs, Replays, Discards, Eraser, ErasuresReader, Retention, AuditReader],
})
export class OperatorModule {}
