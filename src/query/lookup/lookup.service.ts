import { Injectable } from '@nestjs/common';
import type { Response } from 'express';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import type { CommittedEvent } from '../waiting/commit-watcher.sql.js';
import { type LookupResult, LookupReader } from './lookup.reader.js';
import { type AskedCase, type LookupRequest, type LookupResponse, VerdictResponse } from './lookup.dto.js';
import { longPoll } from '../waiting/long-poll.js';
import { COMMIT_EVENTS, type CommitSubscription } from '../waiting/subscription.js';
import { CommitWatcher } from '../waiting/commit-watcher.js';

/** Whether cases are done: as it is now, or as soon as it is so. */
@Injectable()
export class LookupService {
  constructor(
    private readonly reader: LookupReader,
    private readonly watcher: CommitWatcher,
  ) {}

  async ask({ cases }: LookupRequest, disclosure: Disclosure): Promise<LookupResponse> {
    return toResponse(await this.reader.read(cases, 'replica'), disclosure);
  }

  /**
   * Returns as soon as what the request waits for is completed, or when the client's patience is over.
   *
   * @param response the client's, to learn that it hung up
   */
  async wait(
    { cases, mode }: LookupRequest,
    disclosure: Disclosure,
    seconds: number,
    response: Response,
  ): Promise<LookupResponse> {
    const isEnough = (items: number): boolean => (mode === 'all' ? items === cases.length : items > 0);
    const arrived = new Set<AskedCase>();
    const findings = await longPoll(this.watcher, seconds, response, {
      subscribe: (watch, wake) =>
        listen(watch, cases, (asked) => {
          arrived.add(asked);
          if (isEnough(arrived.size)) wake();
        }),
      read: async () => this.reader.read(cases, 'primary'),
      isSatisfied: ({ verdicts }, wake) => {
        const completed = cases.filter((_, index) => verdicts[index]?.status === 'completed');
        if (isEnough(completed.length)) return true;
        for (const asked of completed) arrived.add(asked);
        if (isEnough(arrived.size)) {
          arrived.clear(); // what came while this was read will be seen the next time
          wake();
        }
        return false;
      },
    });
    return toResponse(findings, disclosure);
  }
}

function toResponse({ verdicts, ingestion }: LookupResult, disclosure: Disclosure): LookupResponse {
  return { data: verdicts.map((verdict) => VerdictResponse.from(verdict, disclosure)), ingestion };
}

/** Tells each item that a case arrives for. */
function listen(watch: CommitSubscription, cases: readonly AskedCase[], tell: (asked: AskedCase) => void): void {
  const byName = new Map<string, AskedCase[]>();
  for (const asked of cases) {
    const name = asked.case_id
      ? COMMIT_EVENTS.withCaseId(asked.case_id)
      : COMMIT_EVENTS.withCalleeNumber(asked.callee_number ?? '');
    const others = byName.get(name);
    if (others) others.push(asked);
    else byName.set(name, [asked]);
  }
  for (const [name, items] of byName) {
    watch.on(name, (arrival) => {
      for (const asked of items) if (isMatch(asked, arrival)) tell(asked);
    });
  }
}

function isMatch(asked: AskedCase, arrival: CommittedEvent): boolean {
  return (['workflow_id', 'case_id', 'callee_number'] as const).every(
    (name) => (asked[name] ?? arrival[name]) === arrival[name],
  );
}
