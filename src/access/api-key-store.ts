import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config.js';
import { type ApiKey, findBySecret, isSameKey } from '../config/api-key.js';

/** The valid API keys of `/v1`. They may change while the service runs. */
@Injectable()
export class ApiKeyStore {
  #keys: readonly ApiKey[];

  constructor(@Inject(CONFIG) config: Config) {
    this.#keys = config.apiKeys;
  }

  find(secret: string): ApiKey | undefined {
    return findBySecret(this.#keys, secret);
  }

  /** True if the key is still valid with the same secret and scopes. */
  isValid(key: ApiKey): boolean {
    return this.#keys.some((each) => isSameKey(each, key));
  }

  replace(keys: readonly ApiKey[]): void {
    this.#keys = keys;
  }
}
