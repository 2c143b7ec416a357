import { Module } from '@nestjs/common';
import { WebhookTokens } from './webhook-tokens.js';

/** Who may come in. */
@Module({ providers: [WebhookTokens], exports: [WebhookTokens] })
export class AccessModule {}
