import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import type { Response } from 'express';
import { isDatabaseUnavailable } from '../database/errors.js';
import { LookupReader } from './lookup.reader.js';
import type { AskedCase, LookupRequest } from './lookup.request.js';
import type { LookupResponse } from './lookup.response.js';
import { Patience } from './patience.js';
import { ARRIVED, type Arrival, type Watch, Watcher } from './watcher.js';

const RETRY_MS = 200;

/** Whether cases are done: as it is now, or as soon as it is so. */
@Injectable()
export class Lookup {
  constructor(
    private readonly reader: LookupReader,
    private readonly watcher: Watcher,
  ) {}

  async ask({ cases }: LookupRequest, reveals: boolean): Promise<LookupResponse> {
    return this.reader.read(cases, reveals, 'replica');
  }

  /**
   * Returns as soon as what the request waits for is completed, or when the client's patience is over, with what is so then.
   * While PostgreSQL is away it goes on waiting.
   *
   * @param response the client's, to learn that it hung up
   */
  async wait(
    { cases, mode }: LookupRequest,
    reveals: boolean,
    seconds: number,
    response: Response,
  ): Promise<LookupResponse> {
    const watch = this.watcher.watch();
    const patience = new Patience(seconds, response, watch);
    try {
      const missing = new Set(cases.keys());
      const isDone = (): boolean => (mode === 'all' ? missing.size === 0 : missing.size < cases.length);
      listen(watch, cases, (index) => {
        missing.delete(index);
        if (isDone()) patience.wake();
      });
      watch.on(ARRIVED.many, () => patience.wake());
      while (!watch.hasBegun && !patience.isOver) await patience.woken();
      for (;;) {
        const answer = await this.read(cases, reveals, patience);
        for (const [index, { status }] of answer?.data.entries() ?? [])
          if (status === 'completed') missing.delete(index);
        if (answer && (isDone() || patience.isOver)) return answer;
        if (answer) await patience.woken();
        if (answer && patience.isGone) return answer;
      }
    } finally {
      patience.end();
      watch.close();
    }
  }

  /** Undefined if PostgreSQL is away, and there is time to try again. */
  private async read(cases: AskedCase[], reveals: boolean, patience: Patience): Promise<LookupResponse | undefined> {
    try {
      return await this.reader.read(cases, reveals, 'primary');
    } catch (error) {
      if (patience.isOver || !isDatabaseUnavailable(error)) throw error;
      await sleep(RETRY_MS);
      return undefined;
    }
  }
}

/** Tells the place of each item that a case arrives for. */
function listen(watch: Watch, cases: readonly AskedCase[], tell: (index: number) => void): void {
  for (const [index, asked] of cases.entries()) {
    const name = asked.case_id
      ? ARRIVED.withCaseId(asked.case_id)
      : ARRIVED.withCalleeNumber(asked.callee_number ?? '');
    watch.on(name, (arrival) => {
      if (isMatch(asked, arrival)) tell(index);
    });
  }
}

function isMatch(asked: AskedCase, arrival: Arrival): boolean {
  return (['workflow_id', 'case_id', 'callee_number'] as const).every(
    (name) => (asked[name] ?? arrival[name]) === arrival[name],
  );
}
