import { Module } from '@nestjs/common';
import { IngestModule } from '../ingest/ingest.module.js';
import { OperationsModule } from '../operations/operations.module.js';
import { QueryModule } from '../query/query.module.js';
import { Eraser } from './eraser.js';
import { ErasuresController } from './erasures.controller.js';
import { ErasuresReader } from './erasures.reader.js';
import { QuarantineController } from './quarantine.controller.js';
import { Retention } from './retention.js';
import { QuarantineReader } from './quarantine.reader.js';

/** What an operator does with what is kept. It uses both halves; neither knows of it. */
@Module({
  imports: [IngestModule, QueryModule, OperationsModule],
  controllers: [QuarantineController, ErasuresController],
  providers: [QuarantineReader, Eraser, ErasuresReader, Retention],
})
export class OperatorModule {}
