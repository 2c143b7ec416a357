import { Controller, Param, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { DescribeWebhook } from './webhook.openapi.js';
import { WebhookHandler } from './webhook-handler.js';

/** The door in Nest's routes: its documentation, and the way for spellings that `takeShortWay` does not know. */
@Controller('webhooks/airudder')
@ApiTags('webhook')
export class WebhookController {
  constructor(private readonly door: WebhookHandler) {}

  @Post(':token/:kind')
  @DescribeWebhook()
  async receive(
    @Param('token') token: string,
    @Param('kind') kind: string,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    await this.door.receive(request, response, token, kind);
  }
}
