import { number, spread, table } from './markdown.js';
import { percentilesOf, spreadOf } from './statistics.js';
import { type Waiting, WAITERS } from './waiting.js';

/** What waiting costs the door, for the report. */
export function renderWaiting({ alone, waitedFor, wakeMs }: Waiting): string {
  const ratios = waitedFor.map((rate, round) => rate / (alone[round] ?? NaN));
  const { p50, p99 } = percentilesOf(wakeMs);
  const rows = [
    ['the door, nobody waiting', `${spread(spreadOf(alone))}/s`],
    [`the door, ${number(WAITERS)} waiting for a case each`, `${spread(spreadOf(waitedFor))}/s`],
    ['ratio', spread(spreadOf(ratios), 2)],
    ['from the `200` of a case to the answer of who waits for it, p50', `${number(p50)} ms`],
    ['p99', `${number(p99)} ms`],
  ];
  return [
    table(['', ''], rows),
    `The door was measured without and with them in turn, a ratio is taken within a round; medians, with the lowest and the highest in
brackets. The wakes were measured one after the other on an otherwise idle door, beside the same waiters.`,
  ].join('\n\n');
}
