import { setTimeout as sleep } from 'node:timers/promises';
import type { Response } from 'express';
import { isDatabaseUnavailable } from '../../database/errors.js';
import { WaitDeadline } from './wait-deadline.js';
import { COMMIT_EVENTS, type CommitSubscription } from './subscription.js';
import type { CommitWatcher } from './commit-watcher.js';

const RETRY_MS = 200;

/** What a client waits for. */
export interface LongPollTarget<T> {
  /** Names what arrives that may fulfil it. */
  subscribe(watch: CommitSubscription, wake: () => void): void;
  /** Looks where all that is committed can be seen. */
  read(): Promise<T>;
  /** Whether what was seen is enough. It may be older than what has arrived since: then `wake` has it looked again. */
  isSatisfied(seen: T, wake: () => void): boolean;
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
export async function longPoll<T>(
  watcher: CommitWatcher,
  seconds: number,
  response: Response,
  wish: LongPollTarget<T>,
): Promise<T> {
  const watch = watcher.subscribe();
  const patience = new WaitDeadline(watcher.hasEnded ? 0 : seconds, response);
  try {
    const wake = (): void => patience.wake();
    for (const name of [COMMIT_EVENTS.begun, COMMIT_EVENTS.many]) watch.on(name, wake);
    watch.on(COMMIT_EVENTS.ended, () => patience.expire());
    wish.subscribe(watch, wake);
    while (!watcher.hasBegun && !patience.isExpired) await patience.waitForWake();
    for (;;) {
      const seen = await readWithRetry(wish, patience);
      if (seen === undefined) continue;
      if (wish.isSatisfied(seen, wake) || patience.isExpired) return seen;
      await patience.waitForWake();
      if (patience.isDisconnected) return seen;
    }
  } finally {
    patience.end();
    watch.close();
  }
}

/** Undefined if PostgreSQL is away, and there is time to try again. */
async function readWithRetry<T>(wish: LongPollTarget<T>, patience: WaitDeadline): Promise<T | undefined> {
  try {
    return await wish.read();
  } catch (error) {
    if (patience.isExpired || !isDatabaseUnavailable(error)) throw error;
    await sleep(RETRY_MS);
    return undefined;
  }
}
