export const WINDOW_S = 60;

/** What somebody has of a quota after taking from it. */
export interface WindowState {
  readonly quota: FixedWindowCounter;
  readonly isExceeded: boolean;
  readonly remaining: number;
  /** Until all of it is there again. */
  readonly seconds: number;
}

interface Window {
  taken: number;
  readonly endsAt: number;
}

/**
 * So many requests a minute for each of those who are counted. A minute begins with the first request.
 *
 * Memory is bounded whoever knocks: beyond `capacity` the counter that would have ended first is given up. As all last equally
 * long, the map has them in the order in which they end.
 */
export class FixedWindowCounter {
  readonly #windows = new Map<string, Window>();

  constructor(
    readonly name: string,
    readonly limit: number,
    private readonly capacity = 20_000,
  ) {}

  /** How many are counted at present. */
  get size(): number {
    return this.#windows.size;
  }

  take(who: string, now = Math.floor(performance.now())): WindowState {
    let window = this.#windows.get(who);
    if (!window || window.endsAt <= now) window = this.begin(who, now);
    const isExceeded = window.taken >= this.limit;
    if (!isExceeded) window.taken += 1;
    return {
      quota: this,
      isExceeded,
      remaining: this.limit - window.taken,
      seconds: Math.ceil((window.endsAt - now) / 1000),
    };
  }

  private begin(who: string, now: number): Window {
    this.#windows.delete(who);
    for (const [other, { endsAt }] of this.#windows) {
      if (endsAt > now && this.#windows.size < this.capacity) break;
      this.#windows.delete(other);
    }
    const window = { taken: 0, endsAt: now + WINDOW_S * 1000 };
    this.#windows.set(who, window);
    return window;
  }
}
