import { Controller, Param, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { DescribeWebhook } from './webhook.openapi.js';
import { WebhookHandler } from './webhook-handler.js';

/** The Nest route of the webhook: its documentation, and the handler of paths that the fast path does not match. */
@Controller('webhooks/airudder')
@ApiTags('webhook')
export class WebhookController {
  constructor(private readonly handler: WebhookHandler) {}

  @Post(':token/:kind')
  @DescribeWebhook()
  async receive(
    @Param('token') token: string,
    @Param('kind') kind: string,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    await this.handler.receive(request, response, token, kind);
  }
}
