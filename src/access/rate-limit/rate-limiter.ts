import type { IncomingMessage, ServerResponse } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../../config/config.js';
import { Problem } from '../../http/problem/problem.js';
import { Metrics } from '../../metrics/metrics.js';
import { networkOf } from '../../config/ip-ranges.js';
import { ClientAddress } from './client-address.js';
import { FixedWindowCounter, type WindowState, WINDOW_S } from './fixed-window.js';

/**
 * How often one may ask. Nobody who has the right token or key is ever held up by the failures of others, even of those who
 * come from the same address.
 */
@Injectable()
export class RateLimiter {
  readonly #perAddress: FixedWindowCounter | undefined;
  readonly #perKey: FixedWindowCounter | undefined;
  readonly #failures: FixedWindowCounter | undefined;

  constructor(
    @Inject(CONFIG) config: Config,
    private readonly address: ClientAddress,
    private readonly metrics: Metrics,
  ) {
    this.#perAddress = quotaOf('address', config.rateLimitPerAddress);
    this.#perKey = quotaOf('key', config.rateLimitPerKey);
    this.#failures = quotaOf('failures', config.rateLimitFailures);
  }

  /**
   * Counts a request that came with a known key.
   *
   * @throws Problem `too_many_requests`
   */
  admit(request: IncomingMessage, response: ServerResponse, keyName: string): void {
    const shares: WindowState[] = [];
    if (this.#perAddress) shares.push(this.#perAddress.take(this.networkOf(request)));
    if (this.#perKey && !shares[0]?.isExceeded) shares.push(this.#perKey.take(keyName));
    this.tell(response, shares, 'Too many requests');
  }

  /**
   * Counts a request that came with a token or key that opens nothing.
   *
   * @throws Problem `too_many_requests`
   */
  countFailure(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#failures) return;
    const share = this.#failures.take(this.networkOf(request));
    if (share.isExceeded) this.tell(response, [share], 'Too many wrong tokens or keys');
  }

  private networkOf(request: IncomingMessage): string {
    const address = this.address.of(request);
    return address ? networkOf(address) : 'unknown';
  }

  /** In the headers of draft-ietf-httpapi-ratelimit-headers-11. */
  private tell(response: ServerResponse, shares: readonly WindowState[], excess: string): void {
    if (shares.length === 0) return;
    const policies = shares.map(({ quota: { name, limit } }) => `"${name}";q=${limit};w=${WINDOW_S}`);
    const rests = shares.map(({ quota, remaining, seconds }) => `"${quota.name}";r=${remaining};t=${seconds}`);
    response.setHeader('RateLimit-Policy', policies.join(', '));
    response.setHeader('RateLimit', rests.join(', '));
    const exceeded = shares.find(({ isExceeded }) => isExceeded);
    if (!exceeded) return;
    const { quota, seconds } = exceeded;
    this.metrics.rateLimited.inc({ limit: quota.name });
    response.setHeader('Retry-After', String(seconds));
    throw new Problem(
      'too_many_requests',
      `${excess}: at most ${quota.limit} a minute. Try again in ${seconds} seconds.`,
    );
  }
}

function quotaOf(name: string, limit: number): FixedWindowCounter | undefined {
  return limit > 0 ? new FixedWindowCounter(name, limit) : undefined;
}
