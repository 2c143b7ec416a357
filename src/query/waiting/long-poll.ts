import { setTimeout as sleep } from 'node:timers/promises';
import type { Response } from 'express';
import { isDatabaseUnavailable } from '../../database/errors.js';
import type { CommitWatcher } from './commit-watcher.js';
import { COMMIT_EVENTS, type CommitSubscription } from './subscription.js';
import { WaitDeadline } from './wait-deadline.js';

const RETRY_MS = 200;

/** The condition that a long poll waits for. */
export interface LongPollTarget<T> {
  /** Subscribes to the events that may satisfy the target. */
  subscribe(subscription: CommitSubscription, wake: () => void): void;
  /** Reads from the primary, where every commit is visible. */
  read(): Promise<T>;
  /** Whether the result is enough. An event may be newer than the result: `wake` then starts another read. */
  isSatisfied(result: T, wake: () => void): boolean;
}

/**
 * Long poll. Returns as soon as a read satisfies the target, or at the deadline with the latest read.
 *
 * It subscribes before the first read, so that no commit is missed. While PostgreSQL is unavailable it goes on waiting.
 *
 * @param response the response to the client; the wait ends when the client disconnects
 * @throws Problem `service_unavailable` above the limit of listeners
 */
export async function longPoll<T>(
  watcher: CommitWatcher,
  seconds: number,
  response: Response,
  target: LongPollTarget<T>,
): Promise<T> {
  const subscription = watcher.subscribe();
  const deadline = new WaitDeadline(watcher.hasEnded ? 0 : seconds, response);
  try {
    const wake = (): void => deadline.wake();
    for (const name of [COMMIT_EVENTS.begun, COMMIT_EVENTS.many]) subscription.on(name, wake);
    subscription.on(COMMIT_EVENTS.ended, () => deadline.expire());
    target.subscribe(subscription, wake);
    while (!watcher.hasBegun && !deadline.isExpired) await deadline.waitForWake();
    for (;;) {
      const result = await readWithRetry(target, deadline);
      if (result === undefined) continue;
      if (target.isSatisfied(result, wake) || deadline.isExpired) return result;
      await deadline.waitForWake();
      if (deadline.isDisconnected) return result;
    }
  } finally {
    deadline.end();
    subscription.close();
  }
}

/** Undefined if PostgreSQL is unavailable and the deadline is not reached. */
async function readWithRetry<T>(target: LongPollTarget<T>, deadline: WaitDeadline): Promise<T | undefined> {
  try {
    return await target.read();
  } catch (error) {
    if (deadline.isExpired || !isDatabaseUnavailable(error)) throw error;
    await sleep(RETRY_MS);
    return undefined;
  }
}
