import type { EventEmitter } from 'node:events';
import { Problem } from '../http/problem.js';

/** What all who wait may listen for together: each takes some 300 bytes. */
const MAX_LISTENERS = 200_000;

/** A case that was completed, or changed, by a commit just seen. */
export interface Arrival {
  readonly position: number;
  readonly notification_id: string;
  readonly workflow_id: string;
  readonly case_id: string;
  readonly callee_number: string;
}

/** What all watches of a watcher share. */
export interface Lookout {
  readonly arrivals: EventEmitter;
  listeners: number;
  readonly hasBegun: boolean;
  leave(): void;
}

/** One who waits, and what for. */
export class Watch {
  readonly #listening = new Map<string, (arrival: Arrival) => void>();

  constructor(private readonly lookout: Lookout) {}

  /** From here on nothing that is committed is missed. */
  get hasBegun(): boolean {
    return this.lookout.hasBegun;
  }

  /**
   * @param name one of `ARRIVED`, each only once
   * @throws Problem `service_unavailable` if too many wait for too much already
   */
  on(name: string, listener: (arrival: Arrival) => void): void {
    if (this.lookout.listeners >= MAX_LISTENERS) {
      throw new Problem('service_unavailable', 'Too many wait for too many cases just now. Ask without waiting.');
    }
    this.lookout.listeners += 1;
    this.#listening.set(name, listener);
    this.lookout.arrivals.on(name, listener);
  }

  close(): void {
    this.lookout.listeners -= this.#listening.size;
    for (const [name, listener] of this.#listening) this.lookout.arrivals.off(name, listener);
    this.#listening.clear();
    this.lookout.leave();
  }
}
