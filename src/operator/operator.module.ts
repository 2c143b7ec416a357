import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { IngestModule } from '../ingest/ingest.module.js';
import { OperationsModule } from '../operations/operations.module.js';
import { QueryModule } from '../query/query.module.js';
import { AuditController } from './audit.controller.js';
import { AuditReader } from './audit.reader.js';
import { Eraser } from './eraser.js';
import { ErasuresController } from './erasures.controller.js';
import { ErasuresReader } from './erasures.reader.js';
import { Discards } from './discards.js';
import { QuarantineActs } from './quarantine.acts.js';
import { QuarantineActsController } from './quarantine-acts.controller.js';
import { QuarantineController } from './quarantine.controller.js';
import { Retention } from './retention.js';
import { QuarantineReader } from './quarantine.reader.js';
import { Replays } from './replays.js';

/** What an operator does with what is kept. It uses both halves; neither knows of it. */
@Module({
  imports: [AccessModule, IngestModule, QueryModule, OperationsModule],
  controllers: [QuarantineController, QuarantineActsController, ErasuresController, AuditController],
  providers: [QuarantineReader, QuarantineActs, Replays, Discards, Eraser, ErasuresReader, Retention, AuditReader],
})
export class OperatorModule {}
