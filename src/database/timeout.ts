/** The work exceeded its time limit. It continues, but its result is dropped. */
export class TimeoutError extends Error {
  override readonly name = 'TooSlowError';
}

/** @throws TimeoutError after the time limit */
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
