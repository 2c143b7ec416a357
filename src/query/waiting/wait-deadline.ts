import type { Response } from 'express';

/** The end of one wait: when its time is up, when the client disconnects, or when the service shuts down. */
export class WaitDeadline {
  readonly #timer: NodeJS.Timeout;
  readonly #onClose = (): void => {
    this.#isDisconnected = true;
    this.expire();
  };
  #isDisconnected: boolean;
  #isExpired: boolean;
  #isWoken = false;
  #resume: (() => void) | undefined;

  /** @param response the response to the client; it is closed when the client disconnects */
  constructor(
    seconds: number,
    private readonly response: Response,
  ) {
    this.#isDisconnected = response.closed || response.destroyed;
    this.#isExpired = this.#isDisconnected || seconds === 0;
    this.#timer = setTimeout(() => this.expire(), seconds * 1000);
    response.once('close', this.#onClose);
  }

  get isExpired(): boolean {
    return this.#isExpired;
  }

  /** True if the client has disconnected, so that it receives no response. */
  get isDisconnected(): boolean {
    return this.#isDisconnected;
  }

  /** Ends the current `waitForWake`, or the next one. */
  wake(): void {
    this.#isWoken = true;
    this.#resume?.();
  }

  expire(): void {
    this.#isExpired = true;
    this.#resume?.();
  }

  /** Returns after a `wake` since the last call, or at the deadline. */
  async waitForWake(): Promise<void> {
    if (!this.#isWoken && !this.#isExpired) await new Promise<void>((resolve) => (this.#resume = resolve));
    this.#isWoken = false;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.response.off('close', this.#onClose);
  }
}
