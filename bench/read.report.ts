import { number, spread, table } from './markdown.js';
import type { Options } from './options.js';
import { type Asked, FEW, type Reading, type Readings } from './read.js';
import { DEEP, DEPTH, LOOKUP, NEWEST, ONE_CASE } from './read-questions.js';
import type { Export } from './read-export.js';
import type { ReadResult } from './read-plan.js';
import { type Spread, spreadOf } from './statistics.js';

const CONDITIONS = `The service is started as by \`npm run start:prod\`, once for each database, and asked over kept connections that ask again as soon as
they were answered; up to 20,000 different cases from everywhere in turn. The do-nothing endpoint is one more of the same app, behind the same guard and
pipes as one case. The bare statement is the service's own, prepared, through the driver, on as many connections. In every round each
question was put to all of them in turn; a ratio is taken within a round. Figures are medians, with the lowest and the highest in
brackets. Whoever asks, the service and PostgreSQL share the machine.`;

/** The figures of one run, for the report. */
export function renderReading({ readings, exports }: Readings, { preload }: Options): string {
  const head = [
    '',
    'answered/s',
    'p50',
    'p99',
    'bytes',
    '÷ do-nothing',
    `÷ with ${number(Math.min(FEW, preload))} stored`,
    'bare statement/s',
    'its p50',
  ];
  const rows = readings.map((reading) => [
    reading.name,
    spread(spreadOf(reading.results.many.map(rate))),
    `${spread(spreadOf(reading.results.many.map(({ latencyMs }) => latencyMs.p50)), 2)} ms`,
    `${spread(spreadOf(reading.results.many.map(({ latencyMs }) => latencyMs.p99)), 1)} ms`,
    number(reading.bytes),
    spread(ratio(reading, 'nothing'), 2),
    spread(ratio(reading, 'few'), 2),
    ...(reading.results.bare.length === 0
      ? []
      : [
          spread(spreadOf(reading.results.bare.map(rate))),
          `${spread(spreadOf(reading.results.bare.map(({ latencyMs }) => latencyMs.p50)), 2)} ms`,
        ]),
  ]);
  return [table(head, rows), CONDITIONS, renderExports(exports), renderWanted(readings)]
    .filter((part) => part !== '')
    .join('\n\n');
}

function renderExports(exports: readonly Export[]): string {
  const rows = [...new Set(exports.map(({ format }) => format))].map((format) => {
    const measured = exports.filter((each) => each.format === format);
    return [
      `export as ${format}`,
      number(measured[0]?.rows ?? 0),
      spread(spreadOf(measured.map(({ rows: exported, seconds }) => exported / seconds))),
      `${number(Math.max(...measured.map(({ highestMiB }) => highestMiB)))} MiB`,
    ];
  });
  return rows.length === 0 ? '' : table(['', 'cases', 'cases/s', 'memory at most'], rows);
}

function renderWanted(readings: readonly Reading[]): string {
  const named = (name: string): Reading | undefined => readings.find((reading) => reading.name === name);
  const [one, newest, deep, lookup] = [ONE_CASE, NEWEST, DEEP, LOOKUP].map(named);
  const rows = [
    one && ['one case by id ÷ do-nothing: at least 0.6', spread(ratio(one, 'nothing'), 2)],
    newest && ['the 50 newest ÷ do-nothing: at least 0.2', spread(ratio(newest, 'nothing'), 2)],
    newest &&
      deep && [
        `a page behind the ${number(DEPTH)} newest ÷ the first page, p50: at most 1.2`,
        spread(spreadOf(newest.results.many.map(({ latencyMs }, round) => p50(deep, round) / latencyMs.p50)), 2),
      ],
    lookup && [
      `${LOOKUP}, p50: at most 40 ms`,
      `${spread(spreadOf(lookup.results.many.map(({ latencyMs }) => latencyMs.p50)), 1)} ms`,
    ],
  ];
  const shown = rows.filter((row) => row !== undefined);
  return shown.length === 0 ? '' : table(['wanted', 'median (lowest–highest)'], shown);
}

/** Round by round. */
function ratio({ results }: Reading, to: Asked): Spread {
  return spreadOf(results.many.map((result, round) => rate(result) / (results[to][round]?.perSecond ?? NaN)));
}

function rate({ perSecond }: ReadResult): number {
  return perSecond;
}

function p50({ results }: Reading, round: number): number {
  return results.many[round]?.latencyMs.p50 ?? NaN;
}
