import type { Response } from 'express';

/** How long a client is ready to wait: until its time is up, it hangs up, or the service ends. */
export class WaitDeadline {
  readonly #timer: NodeJS.Timeout;
  readonly #onGone = (): void => {
    this.#isGone = true;
    this.expire();
  };
  #isGone: boolean;
  #isOver: boolean;
  #isWoken = false;
  #resume: (() => void) | undefined;

  /** @param response the client's: it is closed when the client hangs up */
  constructor(
    seconds: number,
    private readonly response: Response,
  ) {
    this.#isGone = response.closed || response.destroyed;
    this.#isOver = this.#isGone || seconds === 0;
    this.#timer = setTimeout(() => this.expire(), seconds * 1000);
    response.once('close', this.#onGone);
  }

  get isExpired(): boolean {
    return this.#isOver;
  }

  /** The client hung up: whatever is answered, nobody reads it. */
  get isDisconnected(): boolean {
    return this.#isGone;
  }

  /** There may be something to see. */
  wake(): void {
    this.#isWoken = true;
    this.#resume?.();
  }

  expire(): void {
    this.#isOver = true;
    this.#resume?.();
  }

  /** Returns once `wake` was called, now or since the last time, or when patience is over. */
  async waitForWake(): Promise<void> {
    if (!this.#isWoken && !this.#isOver) await new Promise<void>((resolve) => (this.#resume = resolve));
    this.#isWoken = false;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.response.off('close', this.#onGone);
  }
}
