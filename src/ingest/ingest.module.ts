import { Module } from '@nestjs/common';
import { AccessModule } from '../access/access.module.js';
import { OperationsModule } from '../operations/operations.module.js';
import { DoorController } from './door.controller.js';
import { Quarantine } from './quarantine.js';
import { Writer } from './writer.js';

/** HTTP → Postgres. */
@Module({
  imports: [AccessModule, OperationsModule],
  controllers: [DoorController],
  providers: [Writer, Quarantine],
})
export class IngestModule {}
