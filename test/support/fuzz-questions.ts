import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { Contract } from './contract.js';
import { text } from './fuzz-bodies.js';
import { headers } from './fuzz-headers.js';
import { NUMBER } from './fuzz-target.js';
import type { Json } from './service.js';

/** A question to the API. */
export interface Question {
  readonly operationId: string;
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [string, string])[];
}

const document = JSON.parse(readFileSync('openapi.json', 'utf8')) as Json;
export const contract = new Contract(document);
export const operations = new Map(contract.operations.map((operation) => [operation.id, operation]));

/** As they are sent: some are encoded, some are not, some are encoded wrongly. */
const escape = (value: string): string => encodeURIComponent(value.toWellFormed());
const oddEscaped = fc.constantFrom(
  '%',
  '%z',
  '%00',
  '%ff',
  '%c0%80',
  '%ed%a0%80',
  '%u0041',
  '%25',
  '+',
  '++',
  '%2B',
  '&',
  '=',
  '[]',
  '#',
  ';',
  '%0d%0a',
  'a'.repeat(3000),
  'a'.repeat(17_000),
  `%2B${NUMBER}`,
  '..',
  '.',
  '%2e%2e',
  '%2F',
  '%5c',
  '<script>',
  '"',
  '{}',
  '^',
  '|',
);
const escaped = fc.oneof(
  text.map(escape),
  oddEscaped,
  fc.tuple(oddEscaped, oddEscaped).map((parts) => parts.join('')),
);

const ZONES = [
  'UTC',
  'utc',
  'Asia/Jakarta',
  'asia/jakarta',
  'Etc/GMT+12',
  'EST5EDT',
  'GMT0',
  'Factory',
  'posixrules',
  'Europe/Kyiv',
];
const zone = fc.constantFrom(...ZONES, ...Intl.supportedValuesOf('timeZone'));
const pad = (value: number, length: number): string => String(value).padStart(length, '0');
const time = fc
  .tuple(
    fc.constantFrom(0, 1, 99, 1582, 1900, 1970, 2026, 9999, 10_000),
    fc.constantFrom(1, 2, 12, 0, 13),
    fc.constantFrom(1, 28, 29, 31, 0, 32),
    fc.constantFrom('00:00:00', '23:59:59.999999', '24:00:00', '23:59:60', '12:00:00.0001', '12:00'),
    fc.constantFrom('Z', 'z', '+00:00', '+23:59', '-23:59', '+24:00', '', '+0700'),
  )
  .map(([year, month, day, clock, offset]) => `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}T${clock}${offset}`);
const number = fc.oneof(
  fc.integer({ min: -2, max: 1002 }).map(String),
  fc.constantFrom('1e3', '0x10', '1.0', '+1', ' 1', '9'.repeat(30), '-0', 'NaN', 'Infinity', '١', '1,000', ''),
);
const word = fc.constantFrom(
  'true',
  'false',
  'TRUE',
  '1',
  'asc',
  'desc',
  'hour',
  'day',
  'start',
  'now',
  'csv',
  'ndjson',
  'null',
  '',
);

/** Values that parameters of this name may have, beside any others. */
const FITTING: Readonly<Record<string, fc.Arbitrary<string>>> = {
  limit: number,
  time_zone: zone.map(escape),
  completed_from: time.map(escape),
  completed_to: time.map(escape),
  order: fc.constantFrom('asc', 'desc'),
  interval: fc.constantFrom('hour', 'day'),
  from: fc.constantFrom('start', 'now'),
  format: fc.constantFrom('csv', 'ndjson'),
  include_total: fc.constantFrom('true', 'false'),
};

type Change = (cursor: string, place: number, more: string) => string;
const CHANGES: readonly Change[] = [
  (cursor) => cursor,
  (cursor, place) => cursor.slice(0, place),
  (cursor, place) => `${cursor.slice(0, place)}${cursor[place] === 'A' ? 'B' : 'A'}${cursor.slice(place + 1)}`,
  (cursor, _, more) => cursor + escape(more),
  (cursor) => `${cursor}==`,
];

/** Cursors as they were answered, altered, cut and lengthened; those of one question sent with another are among them. */
const cursors = (known: readonly string[]): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom('', ...known), fc.nat(), fc.constantFrom(...CHANGES), fc.base64String())
    .map(([cursor, place, change, more]) => change(cursor, place % (cursor.length + 1), more));

const ANY_NAME = fc.oneof(
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'limit[]',
    'cursor[0]',
    'a.b',
    'LIMIT',
    NUMBER,
    `callee_number${NUMBER}`,
    '',
    'unknown',
  ),
  escaped,
);

function parameter(names: readonly string[], known: readonly string[]): fc.Arbitrary<string> {
  const name = fc.oneof(
    { weight: 16, arbitrary: fc.constantFrom(...names, ...(names.length > 0 ? [] : ['limit'])) },
    { weight: 1, arbitrary: ANY_NAME },
    {
      weight: 1,
      arbitrary: fc.constantFrom(...names, ...(names.length > 0 ? [] : ['limit'])).map((each) => `${each}[]`),
    },
  );
  return name.chain((each) => {
    const fitting =
      each === 'cursor'
        ? cursors(known)
        : ((Object.hasOwn(FITTING, each) ? FITTING[each] : text.map(escape)) as fc.Arbitrary<string>);
    const value = fc.oneof({ weight: 12, arbitrary: fitting }, { weight: 2, arbitrary: escaped }, number, time, word);
    return value.map((given) => `${each}=${given}`);
  });
}

const segment = (ids: readonly string[]): fc.Arbitrary<string> =>
  fc
    .oneof({ weight: 3, arbitrary: fc.constantFrom(...ids) }, { weight: 1, arbitrary: escaped })
    .map((value) => value.replaceAll(/[/?#\s]/g, '') || 'x');

/** Questions to every operation under `/v1` that is asked by its address. */
export function questions(ids: readonly string[], known: readonly string[]): fc.Arbitrary<Question> {
  const asked = contract.operations.filter(({ path, method }) => path.startsWith('/v1/') && method === 'get');
  return fc.constantFrom(...asked).chain((operation) => {
    const parameters = (document['paths'][operation.path].get.parameters ?? []) as { name: string; in: string }[];
    const names = parameters.filter((each) => each.in === 'query').map(({ name }) => name);
    const any = parameter(names, known);
    return fc
      .record({
        method: fc.oneof(
          { weight: 12, arbitrary: fc.constant('GET') },
          fc.constantFrom('HEAD', 'PUT', 'OPTIONS', 'DELETE'),
        ),
        segments: fc.array(segment(ids), { minLength: 1, maxLength: 1 }),
        query:
          names.length > 0
            ? fc.array(any, { maxLength: 4 })
            : fc.oneof(fc.constant([]), fc.array(any, { maxLength: 1 })),
        headers,
      })
      .map(({ segments, query, ...rest }) => {
        const path = operation.path.replaceAll(/\{\w+\}/g, segments[0] ?? 'x');
        return {
          operationId: operation.id,
          target: query.length > 0 ? `${path}?${toTarget(query.join('&'))}` : path,
          ...rest,
        };
      });
  });
}

/** A space ends a target, and what is beyond ASCII is no part of one: broken HTTP has tests of its own. */
function toTarget(query: string): string {
  return query.replaceAll(/[^\x21-\x7e]/g, '');
}
