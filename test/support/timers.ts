import { vi } from 'vitest';
import { POLL } from './chaos.js';

/**
 * Timers of this process run only by `vi.advanceTimersByTime`: no limit of the service passes by itself, however slow the
 * machine is. `vi.useRealTimers` ends that.
 */
export function stopTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldClearNativeTimers: true });
}

/** `expect.poll` advances stopped timers by its interval. */
export const POLL_STOPPED = { ...POLL, interval: 0 };
