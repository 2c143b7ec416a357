import type { EventEmitter } from 'node:events';
import { Problem } from '../../http/problem/problem.js';
import type { CommittedEvent } from './commit-watcher.sql.js';

/** What all who wait may listen for together: each takes some 300 bytes. */
const MAX_LISTENERS = 200_000;

/** What can be listened for: an arrival under one of these names, or `many` of them. */
export const COMMIT_EVENTS = {
  withCaseId: (id: string): string => `case ${id}`,
  withCalleeNumber: (number: string): string => `callee ${number}`,
  /** In the feed, where nothing can come before it any more; of one workflow or, undefined, of any. */
  inFeed: (workflowId?: string): string => (workflowId === undefined ? 'feed' : `feed of ${workflowId}`),
  /** In the feed, what was not told one by one. */
  manyInFeed: 'many in feed',
  /** Too many to be told one by one. */
  many: 'many',
  /** From here on nothing is missed. */
  begun: 'begun',
  ended: 'ended',
} as const;

/** One who waits, and what for. */
export class CommitSubscription {
  readonly #listening = new Map<string, (arrival: CommittedEvent) => void>();

  /** @param shared by all watches: how much they listen for together */
  constructor(
    private readonly arrivals: EventEmitter,
    private readonly shared: { listeners: number },
    private readonly leave: () => void,
  ) {}

  /**
   * @param name one of `ARRIVED`, each only once
   * @throws Problem `service_unavailable` if too many wait for too much already
   */
  on(name: string, listener: (arrival: CommittedEvent) => void): void {
    if (this.shared.listeners >= MAX_LISTENERS) {
      throw new Problem('service_unavailable', 'Too many wait for too many cases just now. Ask without waiting.');
    }
    this.shared.listeners += 1;
    this.#listening.set(name, listener);
    this.arrivals.on(name, listener);
  }

  close(): void {
    this.shared.listeners -= this.#listening.size;
    for (const [name, listener] of this.#listening) this.arrivals.off(name, listener);
    this.#listening.clear();
    this.leave();
  }
}
