import type { IncomingMessage } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config.js';
import { Metrics } from '../metrics/metrics.js';
import { isInRanges } from '../config/ip-ranges.js';
import { findBySecret } from '../config/api-key.js';
import { ClientAddress } from './rate-limit/client-address.js';
import { parseSecretDigest } from '../config/secret-digest.js';

/** The valid webhook tokens. There may be several, so that one can be rotated while the old one still works. */
@Injectable()
export class WebhookTokenStore {
  #tokens: readonly { readonly digest: Buffer }[] = [];

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly address: ClientAddress,
    private readonly metrics: Metrics,
  ) {
    this.replace(config.webhookTokens);
  }

  /** True if the token is valid and the address of the client is allowed. */
  isAuthorized(token: string, request: IncomingMessage): boolean {
    if (findBySecret(this.#tokens, token) === undefined) return false;
    if (this.isAllowed(request)) return true;
    this.metrics.addressesRefused.inc();
    return false;
  }

  replace(tokens: readonly string[]): void {
    this.#tokens = tokens.map((token) => ({ digest: parseSecretDigest(token) }));
  }

  private isAllowed(request: IncomingMessage): boolean {
    const { webhookAllowedAddresses } = this.config;
    if (webhookAllowedAddresses.length === 0) return true;
    const address = this.address.of(request);
    return address !== undefined && isInRanges(webhookAllowedAddresses, address);
  }
}
