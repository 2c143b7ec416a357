import { Global, Module } from '@nestjs/common';
import { ApiKeyStore } from './api-key-store.js';
import { ClientAddress } from './rate-limit/client-address.js';
import { RateLimiter } from './rate-limit/rate-limiter.js';
import { DisclosureLog } from './disclosure/disclosure-log.js';
import { SecretFileWatcher } from './secret-file-watcher.js';
import { WebhookTokenStore } from './webhook-token-store.js';

/**
 * Credentials, rate limits and disclosures. Global, because Nest creates an `ApiKeyGuard` in every module with a
 * guarded controller.
 */
@Global()
@Module({
  providers: [ApiKeyStore, ClientAddress, RateLimiter, DisclosureLog, SecretFileWatcher, WebhookTokenStore],
  exports: [ApiKeyStore, RateLimiter, DisclosureLog, WebhookTokenStore],
})
export class AccessModule {}
