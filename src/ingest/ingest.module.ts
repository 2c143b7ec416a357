import { Global, Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { NotificationBuffer } from './write/notification-buffer.js';
import { WebhookController } from './webhook/webhook.controller.js';
import { WebhookHandler } from './webhook/webhook-handler.js';
import { SpoolDrainer } from './write/spool-drainer.js';
import { ErasureFilter } from './erasure/erasure-filter.js';
import { IngestLifecycle } from './ingest-lifecycle.js';
import { QuarantineWriter } from './quarantine/quarantine-writer.js';
import { AdmissionControl } from './webhook/admission.js';
import { IngestStatus } from '../metrics/ingest-status.js';
import { IngestMetrics } from './ingest-metrics.js';
import { IngestStatusService } from './ingest-status.service.js';
import { QuarantineUsage } from './quarantine/quarantine-usage.js';
import { Spool } from './spool/spool.js';
import { Writer } from './write/writer.js';

/** HTTP → PostgreSQL. Global because other modules read `IngestStatus`. */
@Global()
@Module({
  imports: [AccessModule],
  controllers: [WebhookController],
  providers: [
    WebhookHandler,
    AdmissionControl,
    NotificationBuffer,
    Writer,
    QuarantineUsage,
    QuarantineWriter,
    ErasureFilter,
    Spool,
    SpoolDrainer,
    IngestLifecycle,
    IngestMetrics,
    { provide: IngestStatus, useClass: IngestStatusService },
  ],
  exports: [Writer, QuarantineWriter, Spool, ErasureFilter, IngestStatus],
})
export class IngestModule {}
