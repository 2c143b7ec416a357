/** Length of a window. */
export const WINDOW_S = 60;

/** State of a client's window after a request. */
export interface WindowState {
  readonly counter: FixedWindowCounter;
  readonly isExceeded: boolean;
  readonly remaining: number;
  /** Time until the window ends and the whole limit is available again. */
  readonly seconds: number;
}

interface Window {
  count: number;
  readonly endsAt: number;
}

/**
 * Limits the requests per minute of each client. A window begins with the first request.
 *
 * Memory is bounded: beyond `capacity` the window that ends first is dropped. All windows have the same length, so the
 * map holds them in the order of their ends.
 */
export class FixedWindowCounter {
  readonly #windows = new Map<string, Window>();

  constructor(
    readonly name: string,
    readonly limit: number,
    private readonly capacity = 20_000,
  ) {}

  /** Number of windows in memory. */
  get size(): number {
    return this.#windows.size;
  }

  /** Counts a request of the client if its limit is not exceeded. */
  hit(key: string, now = Math.floor(performance.now())): WindowState {
    let window = this.#windows.get(key);
    if (!window || window.endsAt <= now) window = this.begin(key, now);
    const isExceeded = window.count >= this.limit;
    if (!isExceeded) window.count += 1;
    return {
      counter: this,
      isExceeded,
      remaining: this.limit - window.count,
      seconds: Math.ceil((window.endsAt - now) / 1000),
    };
  }

  private begin(key: string, now: number): Window {
    this.#windows.delete(key);
    for (const [other, { endsAt }] of this.#windows) {
      if (endsAt > now && this.#windows.size < this.capacity) break;
      this.#windows.delete(other);
    }
    const window = { count: 0, endsAt: now + WINDOW_S * 1000 };
    this.#windows.set(key, window);
    return window;
  }
}
