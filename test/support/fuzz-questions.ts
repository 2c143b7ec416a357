import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { Contract } from './contract.js';
import { headerValue, text } from './fuzz-bodies.js';
import { KEY, NUMBER } from './fuzz-target.js';
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
    '',
    'unknown',
  ),
  escaped,
);

function parameter(names: readonly string[], known: readonly string[]): fc.Arbitrary<string> {
  const name = fc.oneof(
    { weight: 16, arbitrary: fc.constantFrom('limit', ...names) },
    { weight: 1, arbitrary: ANY_NAME },
    { weight: 1, arbitrary: fc.constantFrom('limit', ...names).map((each) => `${each}[]`) },
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

const HEADERS: Readonly<Record<string, readonly string[]>> = {
  Accept: [
    '*/*',
    'text/csv',
    'application/json;q=0',
    'text/event-stream',
    ';',
    '*',
    'application/json;q=x',
    'a/b;c="',
    ','.repeat(500),
  ],
  Prefer: ['wait=0', 'wait=-1', 'wait=0, respond-async', 'wait="0"', 'wait', 'wait=0x1', ';wait=0', 'wait=1e3'],
  'If-None-Match': ['*', 'W/"x"', '"', 'W/', '"a", "b"', ','.repeat(500)],
  'Accept-Encoding': [
    'gzip',
    'br',
    'deflate',
    '*',
    'identity;q=0',
    'gzip;q=0, *;q=0',
    'gzip;q=x',
    'x',
    ','.repeat(500),
  ],
  Authorization: [
    '',
    'Bearer',
    'Bearer ',
    `Bearer  ${KEY} `,
    `Basic ${KEY}`,
    `bearer ${KEY}`,
    `Bearer ${KEY}x`,
    'Bearer a b',
  ],
  'Last-Event-ID': ['', '0', 'x', '\u00ff'],
  Range: ['bytes=0-1', 'bytes=9-1', 'items=0', 'bytes=0-1,2-3'],
  'Cache-Control': ['no-cache', 'max-age=0'],
  'X-Forwarded-For': ['127.0.0.1', "'", '::ffff:1'],
  'X-Forwarded-Host': ['elsewhere.example'],
  'X-HTTP-Method-Override': ['DELETE', 'POST'],
  'Content-Type': ['application/json', 'text/plain'],
  Upgrade: ['h2c', 'websocket'],
  Expect: ['100-continue', 'x'],
  Cookie: ['a=b; c', '__proto__=1'],
  Te: ['trailers'],
  [`X-${NUMBER}`]: [NUMBER],
};

const header = fc
  .constantFrom(...Object.keys(HEADERS))
  .chain((name) =>
    fc.tuple(
      fc.constantFrom(name, name.toLowerCase(), name.toUpperCase()),
      fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(...(HEADERS[name] ?? [])) },
        { weight: 1, arbitrary: headerValue },
      ),
    ),
  );

/** Most have the key first; whoever repeats it says what counts. */
export const headers = fc
  .tuple(
    fc.oneof(
      { weight: 9, arbitrary: fc.constant([['Authorization', `Bearer ${KEY}`] as [string, string]]) },
      fc.constant([]),
    ),
    fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(header, { maxLength: 4 })),
  )
  .map(([key, others]) => [...key, ...others]);

const segment = (ids: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(fc.constantFrom(...ids), escaped).map((value) => value.replaceAll(/[/?#\s]/g, '') || 'x');

/** Questions to every operation under `/v1` that is asked by its address. */
export function questions(ids: readonly string[], known: readonly string[]): fc.Arbitrary<Question> {
  const asked = contract.operations.filter(({ path, method }) => path.startsWith('/v1/') && method === 'get');
  return fc.constantFrom(...asked).chain((operation) => {
    const parameters = (document['paths'][operation.path].get.parameters ?? []) as { name: string; in: string }[];
    const names = parameters.filter((each) => each.in === 'query').map(({ name }) => name);
    return fc
      .record({
        method: fc.oneof(
          { weight: 12, arbitrary: fc.constant('GET') },
          fc.constantFrom('HEAD', 'PUT', 'OPTIONS', 'DELETE'),
        ),
        segments: fc.array(segment(ids), { minLength: 1, maxLength: 1 }),
        query: fc.array(parameter(names, known), { maxLength: 4 }),
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

const askedCase = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ case_id: text, workflow_id: text, callee_number: text }, { requiredKeys: ['case_id'] }),
  },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
);

/** Bodies for the lookup. */
export const lookups = fc.oneof(
  fc
    .record(
      {
        cases: fc.oneof({ weight: 8, arbitrary: fc.array(askedCase, { maxLength: 5 }) }, fc.jsonValue()),
        mode: fc.constantFrom<unknown>('all', 'any', 'all', 'any', '', 1),
        strict: fc.constantFrom<unknown>(true, false, false, false, 'true'),
      },
      { requiredKeys: ['cases'] },
    )
    .map((body) => JSON.stringify(body)),
  fc.constantFrom(
    `{"cases":[${'{"case_id":"x"},'.repeat(1000)}{"case_id":"x"}]}`,
    `{"cases":[${'{"case_id":"x"},'.repeat(999)}{"case_id":"x"}]}`,
    `{"cases":[{"case_id":"${'x'.repeat(1_000_000)}"}]}`,
    `{"cases":[{"case_id":"x","__proto__":{"a":1}}],"__proto__":{}}`,
    `{"cases":[{"case_id":"x","${NUMBER}":1}],"${NUMBER}":2}`,
    `{"cases":[{"case_id":"\\ud800"}]}`,
    `{"cases":${'['.repeat(100_000)}`,
    `{"cases":{"length":1,"0":{"case_id":"x"}}}`,
    `{"cases":[{"case_id":"x"}],"cases":[]}`,
  ),
  fc.json(),
  fc.string({ unit: 'binary' }),
);
