import { Global, Module } from '@nestjs/common';
import { QueryRouter } from '../../database/query-router.js';
import { Cursors } from './cursor.js';

/** Services that every reader of the API uses. */
@Global()
@Module({ providers: [QueryRouter, Cursors], exports: [QueryRouter, Cursors] })
export class RestModule {}
