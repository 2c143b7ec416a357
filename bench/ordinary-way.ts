import { Body, Controller, HttpCode, Module, Post, ValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { InjectDataSource, TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { entities } from '../src/database/entities.js';
import { serve } from './child.js';
import { NotificationDto } from './notification.dto.js';
import { saveNotification } from './ordinary-way.save.js';

/** Contestant c: Nest with its usual parts, and a transaction per request with a `save()` per table. */
@Controller()
class NotificationsController {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  @Post()
  @HttpCode(200)
  async receive(@Body() notification: NotificationDto): Promise<Record<string, never>> {
    await this.dataSource.transaction(async (manager) => saveNotification(manager, notification));
    return {};
  }
}

@Module({
  imports: [TypeOrmModule.forRoot({ type: 'postgres', url: process.argv[2] ?? '', entities, synchronize: false })],
  controllers: [NotificationsController],
})
class OrdinaryModule {}

const app = await NestFactory.create<NestExpressApplication>(OrdinaryModule, { logger: false, abortOnError: false });
app.useGlobalPipes(new ValidationPipe({ transform: true }));
await app.init();
serve(app.getHttpServer());
