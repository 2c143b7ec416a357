import { Global, Module } from '@nestjs/common';
import { OperationsModule } from '../health/health.module.js';
import { ApiKeys } from './api-key-store.js';
import { ClientAddress } from './rate-limit/client-address.js';
import { Limits } from './rate-limit/rate-limiter.js';
import { RevealLog } from './disclosure/disclosure-log.js';
import { SecretFiles } from './secret-file-watcher.js';
import { WebhookTokens } from './webhook-token-store.js';

/** Who may come in, and who was shown what. The guard of API keys is made anew in every module with a controller that it guards: so all find this one. */
@Global()
@Module({
  imports: [OperationsModule],
  providers: [ApiKeys, ClientAddress, Limits, RevealLog, SecretFiles, WebhookTokens],
  exports: [ApiKeys, Limits, RevealLog, WebhookTokens],
})
export class AccessModule {}
