import { Module } from '@nestjs/common';
import { RevealLog } from './reveal-log.js';
import { WebhookTokens } from './webhook-tokens.js';

/** Who may come in, and who was shown what. */
@Module({ providers: [WebhookTokens, RevealLog], exports: [WebhookTokens, RevealLog] })
export class AccessModule {}
