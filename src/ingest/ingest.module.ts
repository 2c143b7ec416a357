import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { OperationsModule } from '../operations/operations.module.js';
import { NotificationBuffer } from './buffer.js';
import { DoorController } from './door.controller.js';
import { Door } from './door.js';
import { Drainer } from './drainer.js';
import { Erasures } from './erasures.js';
import { Intake } from './intake.js';
import { Names } from './names.js';
import { Quarantine } from './quarantine.js';
import { Room } from './room.js';
import { Spool } from './spool.js';
import { Writer } from './writer.js';

/** HTTP → Postgres. */
@Module({
  imports: [AccessModule, OperationsModule],
  controllers: [DoorController],
  providers: [Door, Room, NotificationBuffer, Writer, Names, Quarantine, Erasures, Spool, Drainer, Intake],
  exports: [Writer, Quarantine, Spool, Erasures],
})
export class IngestModule {}
