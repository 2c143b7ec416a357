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
  /** Content in use; undefined before the first poll, which belongs to the start. */
  text?: string;
  /** Content of the last poll. */
  found?: string;
  /** Message of the last failure; undefined after a success. */
  failure?: string | undefined;
}

/**
 * Reloads tokens and keys from their files while the service runs. If a file is unreadable or malformed, the previous
 * secrets stay valid.
 *
 * Content is applied once two consecutive polls read the same value, to skip partial writes. The content is polled
 * because orchestrators swap a directory symlink, which a watch on the file does not report.
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

  /** @throws Error if the file is unreadable, or if its content is new and malformed */
  private async reload(watched: Watched): Promise<void> {
    const { setting, file, use, text: before } = watched;
    const text = await readSecretFileAgain(file);
    const isSettled = text === watched.found;
    watched.found = text;
    // A file that is written in place is truncated for a moment: half a token must not become valid.
    if (text === before || (before !== undefined && !isSettled)) return;
    watched.text = text;
    use(text);
    watched.failure = undefined;
    if (before === undefined) return;
    this.metrics.secretReloads.inc({ outcome: 'changed' });
    this.#logger.log('secrets reloaded', { setting });
  }

  /** Logs a repeated failure once. */
  private logReloadFailure(watched: Watched, failure: string): void {
    if (failure === watched.failure) return;
    watched.failure = failure;
    this.metrics.secretReloads.inc({ outcome: 'failed' });
    this.#logger.error('secrets reload failed, keeping the previous ones', {
      setting: watched.setting,
      trouble: failure,
    });
  }
}
