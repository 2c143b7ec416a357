import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { digestSecret, findBySecret } from './api-key.js';

/** The tokens that open the webhook: several, so that one can be rotated while the old one still works. */
@Injectable()
export class WebhookTokens {
  readonly #tokens: readonly { readonly digest: Buffer }[];

  constructor(@Inject(CONFIG) config: Config) {
    this.#tokens = config.webhookTokens.map((token) => ({ digest: digestSecret(token) }));
  }

  include(token: string): boolean {
    return findBySecret(this.#tokens, token) !== undefined;
  }
}
