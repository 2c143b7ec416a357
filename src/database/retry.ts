import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, isRetryable } from './errors.js';
import type { Metrics } from '../metrics/metrics.js';

/** More consecutive deadlocks or broken connections have a lasting cause. */
const MAX_FAILURES = 5;
const MAX_PAUSE_MS = 20;

/**
 * Runs a transaction, and retries it after transient errors.
 *
 * @throws any other error, and a transient one after the last attempt
 */
export async function withRetry<T>(metrics: Metrics, transaction: () => Promise<T>): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await transaction();
    } catch (error) {
      if (!isRetryable(error) || failures === MAX_FAILURES) throw error;
      const { code, name } = describeError(error);
      metrics.writeRetries.inc({ code: code ?? name });
      await sleep(Math.random() * MAX_PAUSE_MS);
    }
  }
}
