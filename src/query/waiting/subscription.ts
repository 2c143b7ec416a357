import type { EventEmitter } from 'node:events';
import { Problem } from '../../http/problem/problem.js';
import type { CommittedEvent } from './commit-watcher.sql.js';

/** The limit for all subscriptions together: a listener takes some 300 bytes. */
const MAX_LISTENERS = 200_000;

/** The names of the events of `CommitWatcher`. */
export const COMMIT_EVENTS = {
  withCaseId: (id: string): string => `case ${id}`,
  withCalleeNumber: (number: string): string => `callee ${number}`,
  /** An event of one workflow, or without an id of any, is in the feed, and no earlier one can follow. */
  inFeed: (workflowId?: string): string => (workflowId === undefined ? 'feed' : `feed of ${workflowId}`),
  /** The feed has events that were not announced one by one. */
  manyInFeed: 'many in feed',
  /** More was committed than is announced one by one. */
  many: 'many',
  /** Every later commit is announced. */
  begun: 'begun',
  ended: 'ended',
} as const;

/** One subscriber of `CommitWatcher` and the events it subscribed to. */
export class CommitSubscription {
  readonly #listeners = new Map<string, (event: CommittedEvent) => void>();

  /** @param shared the number of listeners of all subscriptions */
  constructor(
    private readonly events: EventEmitter,
    private readonly shared: { listeners: number },
    private readonly onClose: () => void,
  ) {}

  /**
   * @param name one of `COMMIT_EVENTS`, at most once per subscription
   * @throws Problem `service_unavailable` above the limit of listeners
   */
  on(name: string, listener: (event: CommittedEvent) => void): void {
    if (this.shared.listeners >= MAX_LISTENERS) {
      throw new Problem('service_unavailable', 'Too many concurrent waits. Retry without `Prefer: wait`.');
    }
    this.shared.listeners += 1;
    this.#listeners.set(name, listener);
    this.events.on(name, listener);
  }

  close(): void {
    this.shared.listeners -= this.#listeners.size;
    for (const [name, listener] of this.#listeners) this.events.off(name, listener);
    this.#listeners.clear();
    this.onClose();
  }
}
