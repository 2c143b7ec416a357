import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { OperationsModule } from '../health/health.module.js';
import { NotificationBuffer } from './write/notification-buffer.js';
import { DoorController } from './webhook/webhook.controller.js';
import { Door } from './webhook/webhook-handler.js';
import { Drainer } from './write/spool-drainer.js';
import { Erasures } from './erasure/erasure-filter.js';
import { Intake } from './ingest-lifecycle.js';
import { Names } from './write/label-reconciler.js';
import { Quarantine } from './quarantine/quarantine-writer.js';
import { Room } from './webhook/admission.js';
import { Spool } from './spool/spool.js';
import { Writer } from './write/writer.js';

/** HTTP → Postgres. */
@Module({
  imports: [AccessModule, OperationsModule],
  controllers: [DoorController],
  providers: [Door, Room, NotificationBuffer, Writer, Names, Quarantine, Erasures, Spool, Drainer, Intake],
  exports: [Writer, Quarantine, Spool, Erasures],
})
export class IngestModule {}
