import { number, table } from './markdown.js';
import { DRAIN_PER_SECOND, type Outage, STEADY_PER_SECOND } from './outage.js';

/** The figures of an outage, for the report. */
export function renderOutage(outage: Outage): string {
  const { drain, balance } = outage;
  const drainS = drain.secondsUntilEmpty - drain.secondsUntilItFell;
  const rows = [
    [`PostgreSQL killed at ${number(STEADY_PER_SECOND)}/s: longest time without a 200`, `${number(outage.gapMs)} ms`],
    ['answers meanwhile', tell(outage.steadyStatuses)],
    ['accepted at full load while it is away', `${number(outage.spooledPerSecond)}/s`],
    ['waiting in the spool then', number(outage.spooled)],
    ['waiting at most, once PostgreSQL answers again', number(drain.waiting)],
    ['until fewer are waiting', `${number(drain.secondsUntilItFell, 2)} s`],
    ['until none is waiting', `${number(drain.secondsUntilEmpty, 2)} s`],
    [`drained while ${number(DRAIN_PER_SECOND)}/s come in`, `${number(drain.waiting / drainS)}/s`],
    ['answers meanwhile', tell(outage.drainStatuses)],
    [
      'acknowledged / stored, of the whole run',
      balance ? `${number(balance.acknowledged)} / ${number(balance.stored)}` : '',
    ],
  ];
  return [
    table(['', ''], rows),
    `PostgreSQL is killed with \`SIGKILL\` and started again on the same files. Drained per second is the most that were waiting over the
time from then until none was.`,
    ...outage.faults.map((fault) => `**Not as it must be:** ${fault}`),
  ].join('\n\n');
}

function tell(statuses: Readonly<Record<string, number>>): string {
  return Object.entries(statuses)
    .map(([status, count]) => `${status}: ${number(count)}`)
    .join(', ');
}
