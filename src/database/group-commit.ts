/** Limits of one batch. A single item may exceed `bytes`. */
export interface BatchLimits<Item> {
  readonly count: number;
  readonly bytes: number;
  bytesOf(item: Item): number;
}

const UNLIMITED: BatchLimits<unknown> = { count: Infinity, bytes: Infinity, bytesOf: () => 0 };

/**
 * Commits items in batches, one batch at a time, in the order in which they were added.
 *
 * - *Idle*: no item waits and no batch is in flight. The first `add` ends it.
 * - *Scheduled*: the next batch starts with the next turn of the event loop, with all items that were added until then.
 * - *Committing*: one batch is in flight, and added items wait. At its end the next batch starts, or the queue is idle.
 *
 * A lone item waits for nothing; under load a batch costs little more than one item. An item may wait for one commit that it
 * is not part of.
 */
export class GroupCommit<Item> {
  /** An array, because a Set that every item enters and leaves causes most of the work of the garbage collector. */
  readonly #waiting: Item[] = [];
  #isScheduled = false;
  #isCommitting = false;
  #onIdle: (() => void)[] = [];

  /** @param commit settles each item of a batch by itself, and never rejects */
  constructor(
    private readonly commit: (batch: readonly Item[]) => Promise<void>,
    private readonly limits: BatchLimits<Item> = UNLIMITED,
  ) {}

  get isIdle(): boolean {
    return this.#waiting.length === 0 && !this.#isCommitting;
  }

  add(item: Item): void {
    this.#waiting.push(item);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }

  /** Removes an item that is not in flight yet. */
  remove(item: Item): void {
    const index = this.#waiting.indexOf(item);
    if (index !== -1) this.#waiting.splice(index, 1);
  }

  /** Returns once the queue is idle. The caller adds no more items. */
  async close(): Promise<void> {
    if (!this.isIdle) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  private flush(): void {
    if (this.#isCommitting) return;
    if (this.#waiting.length > 0) {
      this.#isCommitting = true;
      void this.commit(this.takeBatch()).finally(() => {
        this.#isCommitting = false;
        this.flush();
      });
    } else for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  private takeBatch(): Item[] {
    let bytes = 0;
    const end = this.#waiting.findIndex((item, index) => {
      bytes += this.limits.bytesOf(item);
      return index === this.limits.count || (index > 0 && bytes > this.limits.bytes);
    });
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end);
  }
}
