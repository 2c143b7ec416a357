import { Module } from '@nestjs/common';
import { IngestModule } from '../ingest/ingest.module.js';
import { QueryModule } from '../query/query.module.js';
import { QuarantineController } from './quarantine.controller.js';
import { QuarantineReader } from './quarantine.reader.js';

/** What an operator does with what is kept. It uses both halves; neither knows of it. */
@Module({
  imports: [IngestModule, QueryModule],
  controllers: [QuarantineController],
  providers: [QuarantineReader],
})
export class OperatorModule {}
