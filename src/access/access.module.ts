import { Global, Module } from '@nestjs/common';
import { ApiKeyStore } from './api-key-store.js';
import { ClientAddress } from './rate-limit/client-address.js';
import { RateLimiter } from './rate-limit/rate-limiter.js';
import { DisclosureLog } from './disclosure/disclosure-log.js';
import { SecretFileWatcher } from './secret-file-watcher.js';
import { WebhookTokenStore } from './webhook-token-store.js';

/** Who may come in, and who was shown what. The guard of API keys is made anew in every module with a controller that it guards: so all find this one. */
@Global()
@Module({
  providers: [ApiKeyStore, ClientAddress, RateLimiter, DisclosureLog, SecretFileWatcher, WebhookTokenStore],
  exports: [ApiKeyStore, RateLimiter, DisclosureLog, WebhookTokenStore],
})
export class AccessModule {}
