import type { IncomingMessage, ServerResponse } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '../../config/config.js';
import { Problem } from '../../http/problem/problem.js';
import { Metrics } from '../../metrics/metrics.js';
import { networkOf } from '../../config/ip-ranges.js';
import { ClientAddress } from './client-address.js';
import { FixedWindowCounter, type WindowState, WINDOW_S } from './fixed-window.js';

/**
 * Enforces the rate limits. Failures never limit a client with a valid token or key, not even failures from its own
 * address.
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
    this.#perAddress = createCounter('address', config.rateLimitPerAddress);
    this.#perKey = createCounter('key', config.rateLimitPerKey);
    this.#failures = createCounter('failures', config.rateLimitFailures);
  }

  /**
   * Counts a request with a valid API key.
   *
   * @throws Problem `too_many_requests`
   */
  admit(request: IncomingMessage, response: ServerResponse, keyName: string): void {
    const states: WindowState[] = [];
    if (this.#perAddress) states.push(this.#perAddress.hit(this.networkOf(request)));
    if (this.#perKey && !states[0]?.isExceeded) states.push(this.#perKey.hit(keyName));
    this.report(response, states, 'Too many requests');
  }

  /**
   * Counts a request with an invalid token or key.
   *
   * @throws Problem `too_many_requests`
   */
  countFailure(request: IncomingMessage, response: ServerResponse): void {
    if (!this.#failures) return;
    const state = this.#failures.hit(this.networkOf(request));
    if (state.isExceeded) this.report(response, [state], 'Too many wrong tokens or keys');
  }

  private networkOf(request: IncomingMessage): string {
    const address = this.address.of(request);
    return address ? networkOf(address) : 'unknown';
  }

  /** Sets the headers of draft-ietf-httpapi-ratelimit-headers-11, and rejects a request beyond a limit. */
  private report(response: ServerResponse, states: readonly WindowState[], excess: string): void {
    if (states.length === 0) return;
    const policies = states.map(({ counter: { name, limit } }) => `"${name}";q=${limit};w=${WINDOW_S}`);
    const remainders = states.map(({ counter, remaining, seconds }) => `"${counter.name}";r=${remaining};t=${seconds}`);
    response.setHeader('RateLimit-Policy', policies.join(', '));
    response.setHeader('RateLimit', remainders.join(', '));
    const exceeded = states.find(({ isExceeded }) => isExceeded);
    if (!exceeded) return;
    const { counter, seconds } = exceeded;
    this.metrics.rateLimited.inc({ limit: counter.name });
    response.setHeader('Retry-After', String(seconds));
    throw new Problem(
      'too_many_requests',
      `${excess}: at most ${counter.limit} a minute. Try again in ${seconds} seconds.`,
    );
  }
}

function createCounter(name: string, limit: number): FixedWindowCounter | undefined {
  return limit > 0 ? new FixedWindowCounter(name, limit) : undefined;
}
