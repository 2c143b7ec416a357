import { vi } from 'vitest';

/**
 * Stops the timers of this process until `vi.useRealTimers`, so that no timeout of the service passes on a slow machine. Only
 * `vi.advanceTimersByTime` moves them, and `expect.poll` moves them by its interval.
 */
export function stopTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldClearNativeTimers: true });
}

/** Polls without moving stopped timers. */
export const POLL_STOPPED = { interval: 0 };

export async function withStoppedTimers<T>(work: () => Promise<T>): Promise<T> {
  stopTimers();
  return work().finally(() => vi.useRealTimers());
}
