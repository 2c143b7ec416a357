import type { TestContext } from 'vitest';

/** `CHAOS_SECONDS` makes the faults of `test/faults-*.test.ts` long: each load lasts so long, and more rounds are played. */
const seconds = Number(process.env['CHAOS_SECONDS'] ?? '');

export const IS_LONG = seconds > 0;
export const LOAD_MS = IS_LONG ? seconds * 1000 : 1_000;
export const ROUNDS = IS_LONG ? 10 : 3;

/** A load is drained while another goes on, and both are compared with the tables afterwards. */
export const TEST_TIMEOUT_MS = 60_000 + 10 * LOAD_MS;
export const POLL = { timeout: 20_000 + 5 * LOAD_MS, interval: 50 };

/** Skips a test for a reason that everybody sees, whatever the reporter. */
export function skip(context: TestContext, reason: string): never {
  process.stdout.write(`skipped: ${context.task.name}: ${reason}\n`);
  return context.skip(reason);
}
