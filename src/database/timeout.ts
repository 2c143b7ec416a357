/** Something took longer than it may. It goes on, but nobody waits for it. */
export class TimeoutError extends Error {
  override readonly name = 'TooSlowError';
}

/** @throws TooSlowError when the time is up */
export async function withTimeout<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeoutError(`took more than ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
