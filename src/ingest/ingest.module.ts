import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { HealthModule } from '../health/health.module.js';
import { NotificationBuffer } from './write/notification-buffer.js';
import { WebhookController } from './webhook/webhook.controller.js';
import { WebhookHandler } from './webhook/webhook-handler.js';
import { SpoolDrainer } from './write/spool-drainer.js';
import { ErasureFilter } from './erasure/erasure-filter.js';
import { IngestLifecycle } from './ingest-lifecycle.js';
import { Names } from './write/label-reconciler.js';
import { QuarantineWriter } from './quarantine/quarantine-writer.js';
import { AdmissionControl } from './webhook/admission.js';
import { Spool } from './spool/spool.js';
import { Writer } from './write/writer.js';

/** HTTP → Postgres. */
@Module({
  imports: [AccessModule, HealthModule],
  controllers: [WebhookController],
  providers: [
    WebhookHandler,
    AdmissionControl,
    NotificationBuffer,
    Writer,
    Names,
    QuarantineWriter,
    ErasureFilter,
    Spool,
    SpoolDrainer,
    IngestLifecycle,
  ],
  exports: [Writer, QuarantineWriter, Spool, ErasureFilter],
})
export class IngestModule {}
