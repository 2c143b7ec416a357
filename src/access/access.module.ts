import { Global, Module } from '@nestjs/common';
import { OperationsModule } from '../operations/operations.module.js';
import { ApiKeys } from './api-keys.js';
import { ClientAddress } from './client-address.js';
import { Limits } from './limits.js';
import { SecretFiles } from './secret-files.js';
import { WebhookTokens } from './webhook-tokens.js';

/** Who may come in. The guard of API keys is made anew in every module with a controller that it guards: so all find this one. */
@Global()
@Module({
  imports: [OperationsModule],
  providers: [ApiKeys, ClientAddress, Limits, SecretFiles, WebhookTokens],
  exports: [ApiKeys, Limits, WebhookTokens],
})
export class AccessModule {}
