import { Global, Module } from '@nestjs/common';
import { OperationsModule } from '../operations/operations.module.js';
import { ApiKeys } from './api-keys.js';
import { ClientAddress } from './client-address.js';
import { Limits } from './limits.js';
import { RevealLog } from './reveal-log.js';
import { SecretFiles } from './secret-files.js';
import { WebhookTokens } from './webhook-tokens.js';

/** Who may come in, and who was shown what. The guard of API keys is made anew in every module with a controller that it guards: so all find this one. */
@Global()
@Module({
  imports: [OperationsModule],
  providers: [ApiKeys, ClientAddress, Limits, RevealLog, SecretFiles, WebhookTokens],
  exports: [ApiKeys, Limits, RevealLog, WebhookTokens],
})
export class AccessModule {}
