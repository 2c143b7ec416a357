import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, isRetryable } from './errors.js';
import type { Metrics } from '../metrics/metrics.js';

/** More than that many deadlocks or broken connections in a row are no accident. */
const MAX_FAILURES = 5;
const MAX_PAUSE_MS = 20;

/**
 * Runs a transaction, and again if it failed by what passes.
 *
 * @throws what it failed with otherwise, or too often
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
