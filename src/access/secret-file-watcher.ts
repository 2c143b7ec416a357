import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { CONFIG, type Config } from '../config/config.js';
import { Metrics } from '../metrics/metrics.js';
import { parseApiKeys } from '../config/api-key.js';
import { ApiKeyStore } from './api-key-store.js';
import { readSecretFileAgain } from '../config/secret-file.js';
import { parseWebhookTokens } from '../config/webhook-token.js';
import { WebhookTokenStore } from './webhook-token-store.js';

const INTERVAL_MS = 1_000;

interface Watched {
  readonly setting: string;
  readonly file: string;
  readonly use: (text: string) => void;
  /** What was taken over last; undefined before the first look, which is part of the start. */
  text?: string;
  /** What was found last. */
  found?: string;
  /** What is wrong with it; undefined while nothing is. */
  trouble?: string | undefined;
}

/**
 * Takes over new tokens and keys from their files while the service runs. A file that cannot be read or is malformed changes
 * nothing: the secrets that were right before stay so until it is mended.
 *
 * What was found twice is taken over. The content is looked at, not the file: orchestrators replace a link to the folder, which no watch on the file would see.
 */
@Injectable()
export class SecretFileWatcher implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #logger = new Logger('Secrets');
  readonly #watched: Watched[] = [];
  readonly #ending = new AbortController();

  constructor(
    @Inject(CONFIG) { webhookTokensFile, apiKeysFile }: Config,
    tokens: WebhookTokenStore,
    keys: ApiKeyStore,
    private readonly metrics: Metrics,
  ) {
    this.watch('WEBHOOK_TOKENS_FILE', webhookTokensFile, (text) => tokens.replace(parseWebhookTokens(text)));
    this.watch('API_KEYS_FILE', apiKeysFile, (text) => keys.replace(parseApiKeys(text)));
  }

  onApplicationBootstrap(): void {
    if (this.#watched.length > 0) void this.pollLoop(this.#ending.signal);
  }

  onModuleDestroy(): void {
    this.#ending.abort();
  }

  private watch(setting: string, file: string | undefined, use: (text: string) => void): void {
    if (file !== undefined) this.#watched.push({ setting, file, use });
  }

  private async pollLoop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      for (const watched of this.#watched) {
        await this.reload(watched).catch((error: unknown) => this.logReloadFailure(watched, (error as Error).message));
      }
      await sleep(INTERVAL_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** @throws Error if the file cannot be read, or the first time that it is found malformed */
  private async reload(watched: Watched): Promise<void> {
    const { setting, file, use, text: before } = watched;
    const text = await readSecretFileAgain(file);
    const isSettled = text === watched.found;
    watched.found = text;
    // What somebody is writing just now, and not by renaming, is cut off somewhere: half a token would open the door.
    if (text === before || (before !== undefined && !isSettled)) return;
    watched.text = text;
    use(text);
    watched.trouble = undefined;
    if (before === undefined) return;
    this.metrics.secretReloads.inc({ outcome: 'changed' });
    this.#logger.log('secrets were read anew', { setting });
  }

  /** Once for each trouble. */
  private logReloadFailure(watched: Watched, trouble: string): void {
    if (trouble === watched.trouble) return;
    watched.trouble = trouble;
    this.metrics.secretReloads.inc({ outcome: 'failed' });
    this.#logger.error('new secrets are not taken over, the old ones stay valid', {
      setting: watched.setting,
      trouble,
    });
  }
}
