import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from './connection.js';
import type { LoadPlan, LoadResult } from './load-plan.js';
import { stamper, TEMPLATE } from './stamped-request.js';
import { Tally } from './tally.js';

/** How long the last requests get to be answered. */
const LAST_ANSWERS_MS = 10_000;

/**
 * Sends at a rate, whether or not what was sent before is answered.
 *
 * autocannon is not used here: it spends the rate of each second at once and rests for what is left of it, and its
 * correction of latencies takes seconds for milliseconds. What is told here is counted from the moment a request was due,
 * so that one which has to wait for a free connection is not told as fast.
 */
export async function sendEvenly(
  plan: LoadPlan & { readonly perSecond: number },
  stopping: AbortSignal,
): Promise<LoadResult> {
  const tally = new Tally(plan.series);
  const senders = makeSenders(plan);
  const startedAt = performance.now();
  const dueAt = (ordinal: number): number => startedAt + (ordinal * 1000) / plan.perSecond;
  const count = plan.perSecond * plan.seconds;
  const idle = [...senders];
  const progress = { sent: 0 };
  const sendDue = (): void => {
    while (progress.sent < count && !stopping.aborted && dueAt(progress.sent) <= performance.now()) {
      const sender = idle.pop();
      if (!sender) return;
      const ordinal = progress.sent;
      const dueMs = dueAt(ordinal);
      const sentMs = performance.now();
      tally.countSent(ordinal);
      sender.send(ordinal, (status) => {
        const now = performance.now();
        if (status === undefined) tally.errors += 1;
        else tally.countAnswer(ordinal, status, now - sentMs, now - dueMs);
        idle.push(sender);
        sendDue();
      });
      progress.sent += 1;
    }
  };
  while (progress.sent < count && !stopping.aborted) {
    sendDue();
    await sleep(1);
  }
  const deadline = performance.now() + LAST_ANSWERS_MS;
  while (idle.length < senders.length && performance.now() < deadline) await sleep(1);
  tally.errors += senders.length - idle.length;
  for (const sender of senders) sender.close();
  return tally.result();
}

interface Sender {
  send(ordinal: number, onStatus: (status: number | undefined) => void): void;
  close(): void;
}

function makeSenders(plan: LoadPlan): Sender[] {
  const url = new URL(plan.url);
  const head =
    `POST ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${TEMPLATE.length}\r\n\r\n`;
  return Array.from({ length: plan.connections }, () => {
    const connection = new Connection(Number(url.port));
    const bytes = Buffer.from(head + TEMPLATE);
    const stamp = stamper(bytes, plan.series);
    return {
      send: (ordinal, onStatus) => {
        stamp(ordinal);
        connection.request(bytes, (answer) => onStatus(answer?.status));
      },
      close: () => connection.close(),
    };
  });
}
