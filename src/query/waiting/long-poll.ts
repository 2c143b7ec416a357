import { setTimeout as sleep } from 'node:timers/promises';
import type { Response } from 'express';
import { isDatabaseUnavailable } from '../../database/errors.js';
import { Patience } from './wait-deadline.js';
import { ARRIVED, type Watch } from './subscription.js';
import type { Watcher } from './commit-watcher.js';

const RETRY_MS = 200;

/** What a client waits for. */
export interface Wish<T> {
  /** Names what arrives that may fulfil it. */
  listen(watch: Watch, wake: () => void): void;
  /** Looks where all that is committed can be seen. */
  look(): Promise<T>;
  /** Whether what was seen is enough. It may be older than what has arrived since: then `wake` has it looked again. */
  isFulfilled(seen: T, wake: () => void): boolean;
}

/**
 * Returns what is seen as soon as it fulfils the wish, or when the client's patience is over, with what is so then. While PostgreSQL
 * is away it goes on waiting.
 *
 * It listens before it looks, and only what it sees counts: so nothing falls between.
 *
 * @param response the client's, to learn that it hung up
 * @throws Problem `service_unavailable` if too many wait for too much already
 */
export async function waitFor<T>(watcher: Watcher, seconds: number, response: Response, wish: Wish<T>): Promise<T> {
  const watch = watcher.watch();
  const patience = new Patience(watcher.hasEnded ? 0 : seconds, response);
  try {
    const wake = (): void => patience.wake();
    for (const name of [ARRIVED.begun, ARRIVED.many]) watch.on(name, wake);
    watch.on(ARRIVED.ended, () => patience.lose());
    wish.listen(watch, wake);
    while (!watcher.hasBegun && !patience.isOver) await patience.woken();
    for (;;) {
      const seen = await lookPatiently(wish, patience);
      if (seen === undefined) continue;
      if (wish.isFulfilled(seen, wake) || patience.isOver) return seen;
      await patience.woken();
      if (patience.isGone) return seen;
    }
  } finally {
    patience.end();
    watch.close();
  }
}

/** Undefined if PostgreSQL is away, and there is time to try again. */
async function lookPatiently<T>(wish: Wish<T>, patience: Patience): Promise<T | undefined> {
  try {
    return await wish.look();
  } catch (error) {
    if (patience.isOver || !isDatabaseUnavailable(error)) throw error;
    await sleep(RETRY_MS);
    return undefined;
  }
}
