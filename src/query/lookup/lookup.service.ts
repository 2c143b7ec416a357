import { Injectable } from '@nestjs/common';
import type { Response } from 'express';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import type { CommittedEvent } from '../waiting/commit-watcher.sql.js';
import { type LookupResult, LookupReader } from './lookup.reader.js';
import { type AskedCase, type LookupRequest, type LookupResponse, VerdictResponse } from './lookup.dto.js';
import { longPoll } from '../waiting/long-poll.js';
import { COMMIT_EVENTS, type CommitSubscription } from '../waiting/subscription.js';
import { CommitWatcher } from '../waiting/commit-watcher.js';

/** Looks up cases, at once or as a long poll. */
@Injectable()
export class LookupService {
  constructor(
    private readonly reader: LookupReader,
    private readonly watcher: CommitWatcher,
  ) {}

  async lookUp({ cases }: LookupRequest, disclosure: Disclosure): Promise<LookupResponse> {
    return toResponse(await this.reader.read(cases, 'replica'), disclosure);
  }

  /**
   * Long poll: returns once all items of the request (or any, by `mode`) are completed, or at the deadline.
   *
   * @param response the response to the client; the wait ends when the client disconnects
   */
  async wait(
    { cases, mode }: LookupRequest,
    disclosure: Disclosure,
    seconds: number,
    response: Response,
  ): Promise<LookupResponse> {
    const isEnough = (items: number): boolean => (mode === 'all' ? items === cases.length : items > 0);
    const announced = new Set<AskedCase>();
    const result = await longPoll(this.watcher, seconds, response, {
      subscribe: (subscription, wake) =>
        subscribeToItems(subscription, cases, (item) => {
          announced.add(item);
          if (isEnough(announced.size)) wake();
        }),
      read: async () => this.reader.read(cases, 'primary'),
      isSatisfied: ({ verdicts }, wake) => {
        const completed = cases.filter((_, index) => verdicts[index]?.status === 'completed');
        if (isEnough(completed.length)) return true;
        for (const item of completed) announced.add(item);
        if (isEnough(announced.size)) {
          announced.clear(); // the next read includes what was committed during this one
          wake();
        }
        return false;
      },
    });
    return toResponse(result, disclosure);
  }
}

function toResponse({ verdicts, ingestion }: LookupResult, disclosure: Disclosure): LookupResponse {
  return { data: verdicts.map((verdict) => VerdictResponse.from(verdict, disclosure)), ingestion };
}

/** Calls `onCommit` with each item whose case is committed. */
function subscribeToItems(
  subscription: CommitSubscription,
  cases: readonly AskedCase[],
  onCommit: (item: AskedCase) => void,
): void {
  const byName = new Map<string, AskedCase[]>();
  for (const item of cases) {
    const name = item.case_id
      ? COMMIT_EVENTS.withCaseId(item.case_id)
      : COMMIT_EVENTS.withCalleeNumber(item.callee_number ?? '');
    const others = byName.get(name);
    if (others) others.push(item);
    else byName.set(name, [item]);
  }
  for (const [name, items] of byName) {
    subscription.on(name, (event) => {
      for (const item of items) if (isMatch(item, event)) onCommit(item);
    });
  }
}

function isMatch(item: AskedCase, event: CommittedEvent): boolean {
  return (['workflow_id', 'case_id', 'callee_number'] as const).every(
    (name) => (item[name] ?? event[name]) === event[name],
  );
}
