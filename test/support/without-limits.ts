import { vi } from 'vitest';

/** Does work during which limits on time stand still: a slow machine reaches none of them. */
export async function withoutLimits<T>(work: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldClearNativeTimers: true });
  return work().finally(() => vi.useRealTimers());
}
