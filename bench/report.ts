import type { Comparison, DoorFigures } from './compare.js';
import { type Contestant, DOOR } from './contestants.js';
import { number, spread, table } from './markdown.js';
import type { Options } from './options.js';
import { OVERLOAD_CONNECTIONS } from './overload.js';
import { type Spread, spreadOf } from './statistics.js';

const CONDITIONS = `PostgreSQL writes durably (\`fsync\` and \`synchronous_commit\` on). \`max_wal_size\` is 4 GB and \`checkpoint_timeout\` an hour, so that no
checkpoint decides a round by falling into it. Contestants that store have databases of their own with the same content. Every
request is the first notification of a case, with the bytes of the provider's example but for its ids and its number, and every
answer was \`200 {}\`. Each contestant was warmed up; then each was loaded once in every round, in a rotating order. A ratio is taken
within a round. Figures are medians, with the lowest and the highest in brackets. CPU is the processor time of all threads. Load, contestant and PostgreSQL share the machine.`;

const NOTES = `The do-nothing endpoint passes through all that stands before the door's controller, but its body is not read. The ordinary way is
Nest with \`express.json\`, a ValidationPipe and a TypeORM \`save()\` per table in one transaction per request; names that are known are left
alone. One statement per request is Express with class-validator and a prepared statement that writes all tables, on a pool of ten.`;

/** The figures of one run, for the report. */
export function renderComparison(
  { contestants, rounds, balances, door, faults }: Comparison,
  options: Options,
): string {
  const rows = contestants.map((contestant) => {
    const { letter, label } = contestant;
    const { highestMiB = NaN, lastMiB = NaN } = rounds.memory[letter] ?? {};
    const ratio = ratioTo(contestant, rounds.rates);
    const found = balances[letter];
    return [
      letter === DOOR ? `**${letter}: ${label}**` : `${letter}: ${label}`,
      spread(spreadOf(rounds.rates[letter] ?? [])),
      ratio ? spread(ratio, 2) : '',
      `${spread(spreadOf(rounds.cpu[letter]?.own ?? []))} µs`,
      found ? `${spread(spreadOf(rounds.cpu[letter]?.postgres ?? []))} µs` : '',
      `${number(highestMiB)} / ${number(lastMiB)} MiB`,
      found ? `${number(found.acknowledged)} / ${number(found.stored)}` : '',
    ];
  });
  const head = [
    '',
    'answered/s',
    'this door ÷ it',
    'its CPU per answer',
    'PostgreSQL’s',
    'memory, highest / last',
    'acknowledged / stored',
  ];
  return [
    table(head, rows),
    CONDITIONS,
    NOTES,
    balances[DOOR] &&
      describeBalance(Math.max(...Object.values(balances).map(({ notAcknowledged }) => notAcknowledged))),
    door && renderDoor(door, options),
    ...faults.map((fault) => `**Not as it must be:** ${fault}`),
  ]
    .filter((part) => part !== undefined)
    .join('\n\n');
}

/** Round by round; undefined for the door itself, or without it. */
function ratioTo({ letter }: Contestant, rates: Comparison['rounds']['rates']): Spread | undefined {
  const own = rates[DOOR];
  if (!own || letter === DOOR) return undefined;
  return spreadOf(own.map((rate, round) => rate / (rates[letter]?.[round] ?? NaN)));
}

function describeBalance(most: number): string {
  return `Acknowledged and stored are counted over the whole run, and compared case by case: each that was acknowledged is stored, once. What
was under way when a measurement ended may be stored too: at most ${number(most)} of one contestant.`;
}

function renderDoor({ halfLoad, start, loneRequest: lone, overload }: DoorFigures, options: Options): string {
  const { sinceDue, sinceSent } = halfLoad;
  const { firstMiB, highestMiB, lastMiB } = overload.memory;
  const statuses = Object.entries(overload.statuses).map(([status, count]) => `${status}: ${number(count)}`);
  const rate = `${number(halfLoad.perSecond)}/s evenly spaced`;
  return `This door alone:

${table(
  ['', 'median (lowest–highest)'],
  [
    [`${rate}, since a request was due: p50`, `${spread(sinceDue.p50, 1)} ms`],
    [`${rate}, since a request was due: p99`, `${spread(sinceDue.p99, 1)} ms`],
    [`${rate}, since it was sent: p50`, `${spread(sinceSent.p50, 1)} ms`],
    [`${rate}, since it was sent: p99`, `${spread(sinceSent.p99, 1)} ms`],
    ['lone request', `${spread(lone.door, 3)} ms`],
    ['one INSERT between BEGIN and COMMIT', `${spread(lone.transaction, 3)} ms`],
    ['one INSERT that commits by itself', `${spread(lone.insert, 3)} ms`],
    ['an HTTP exchange with bare Node.js', `${spread(lone.http, 3)} ms`],
    ['an HTTP exchange with bare Express', `${spread(lone.express, 3)} ms`],
    ['lone request ÷ (INSERT transaction + exchange with bare Node.js)', spread(lone.overTransaction, 2)],
    ['lone request ÷ (INSERT that commits by itself + the same exchange)', spread(lone.overInsert, 2)],
    [`process start to ready`, `${spread(start)} ms`],
    [`overload, ${OVERLOAD_CONNECTIONS} connections for ${options.overloadSeconds} s: answers`, statuses.join(', ')],
    ['overload: resident memory at its start', `${number(firstMiB)} MiB`],
    ['overload: resident memory, highest', `${number(highestMiB)} MiB`],
    ['overload: resident memory at its end', `${number(lastMiB)} MiB`],
  ],
)}

Half load is half of the median above, from ${options.connections} connections. A request that is due while all of them wait counts from when it was due, so
waiting is not left out (autocannon's own pacing is not used: it sends the requests of each second at once). The INSERT is a
prepared statement with one row of \`notifications\` and its indexes; a notification also makes a case and its node tasks.`;
}
