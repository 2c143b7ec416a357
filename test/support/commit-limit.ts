import { vi } from 'vitest';

/** However slow the machine is, the service in this process gives no commit up to the spool during the work. */
export async function withoutCommitLimit<T>(work: () => Promise<T>): Promise<T> {
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  try {
    return await work();
  } finally {
    vi.useRealTimers();
  }
}
