import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { IngestModule } from '../ingest/ingest.module.js';
import { AuditController } from './audit/audit.controller.js';
import { AuditReader } from './audit/audit.reader.js';
import { ErasureService } from './erasure/erasure.service.js';
import { ErasuresController } from './erasure/erasures.controller.js';
import { ErasuresReader } from './erasure/erasures.reader.js';
import { DiscardService } from './quarantine/discard.service.js';
import { QuarantineLock } from './quarantine/quarantine-lock.js';
import { QuarantineCommandsController } from './quarantine/quarantine-commands.controller.js';
import { QuarantineController } from './quarantine/quarantine.controller.js';
import { RetentionJob } from './retention/retention.job.js';
import { QuarantineReader } from './quarantine/quarantine.reader.js';
import { ReplayService } from './quarantine/replay.service.js';

/** Commands and jobs of the operator. */
@Module({
  imports: [AccessModule, IngestModule],
  controllers: [QuarantineController, QuarantineCommandsController, ErasuresController, AuditController],
  providers: [
    QuarantineReader,
    QuarantineLock,
    ReplayService,
    DiscardService,
    ErasureService,
    ErasuresReader,
    RetentionJob,
    AuditReader,
  ],
})
export class OperatorModule {}
