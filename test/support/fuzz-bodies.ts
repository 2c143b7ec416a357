import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { PROVIDER_EXAMPLE } from '../../src/ingest/notification/provider-example.js';
import { NUMBER } from './fuzz-target.js';
import type { Json } from './service.js';

/** What is sent to the webhook. */
export interface Sent {
  readonly bytes: Buffer;
  /** What it holds, where it can be decoded. */
  readonly plain: Buffer;
  readonly headers: readonly (readonly [string, string])[];
}

/** Texts that have gone wrong somewhere before. */
const oddText = fc.constantFrom(
  '',
  ' ',
  NUMBER,
  '\0',
  '\ud800',
  'a\udfff',
  '\ud83d\ude00',
  '\ufeff',
  '\uffff',
  '\u202e',
  'e\u0301',
  '\\u0000',
  'x'.repeat(800),
  'é'.repeat(401),
  '😀'.repeat(300),
  '__proto__',
  'constructor',
  "'; --",
  '{"a":1}',
  '%00',
  '\r\n',
);
export const text = fc.oneof(
  { weight: 5, arbitrary: fc.string() },
  { weight: 3, arbitrary: fc.string({ unit: 'binary' }) },
  { weight: 1, arbitrary: oddText },
);

const oddValue = fc.oneof(
  text,
  fc.jsonValue({ stringUnit: 'binary' }),
  fc.constantFrom(null, true, -0, 1e308, Number.MAX_SAFE_INTEGER, {}, [], [[]], [null], { __proto__: null }),
);

const row = fc.record(
  { nodetask_id: text, nodetask_name: text, node_type: text, task_id: fc.option(text) },
  { requiredKeys: ['nodetask_id', 'nodetask_name', 'node_type'] },
);
const FIELDS = ['workflow_id', 'workflow_name', 'case_id', 'callee_number', 'rows'] as const;

/** A notification that begins valid, with fields replaced, left out and added. */
const content = fc
  .record({
    texts: fc.record({ case_id: text, callee_number: text, workflow_id: text, workflow_name: text }),
    rows: fc.array(row, { maxLength: 4 }),
    isExample: fc.boolean(),
    changes: fc.oneof(
      fc.constant([]),
      fc.array(fc.tuple(fc.oneof(fc.constantFrom<string>(...FIELDS), text), fc.option(oddValue)), { maxLength: 2 }),
    ),
  })
  .map(({ texts, rows, isExample, changes }) => {
    const made: Json = isExample ? { ...PROVIDER_EXAMPLE, case_id: texts.case_id } : { ...texts, rows };
    for (const [name, value] of changes) {
      if (value === null) delete made[name];
      else Object.defineProperty(made, name, { value, enumerable: true, configurable: true, writable: true });
    }
    return JSON.stringify(made);
  });

/** JSON that no serializer writes. */
const INSERTED = [
  `"case_id":"again",`,
  `"callee_number":${NUMBER},`,
  `"n":1${'0'.repeat(400)},`,
  `"n":1e99999,`,
  `"n":-0.${'1'.repeat(3000)},`,
  `"u":"\\ud800\\udbff\\u0000",`,
  `"__proto__":{"rows":[]},`,
  `"n":NaN,`,
  `/* */`,
  `"d":${'['.repeat(50)}${']'.repeat(50)},`,
  `"d":${'{"d":['.repeat(20_000)}1${']}'.repeat(20_000)},`,
  `"d":${'['.repeat(60_000)}${']'.repeat(60_000)},`,
  `"d":${'['.repeat(90_000)},`,
  `"${'k'.repeat(70_000)}":1,`,
];
const rewritten = fc
  .record({ json: content, inserted: fc.array(fc.constantFrom(...INSERTED), { maxLength: 2 }), isLast: fc.boolean() })
  .map(({ json, inserted, isLast }) =>
    isLast ? `${json.slice(0, -1)},${inserted.join('')}"z":0}` : `{${inserted.join('')}${json.slice(1)}`,
  );

const encoded = fc
  .tuple(
    fc.oneof({ weight: 3, arbitrary: content }, { weight: 1, arbitrary: rewritten }),
    fc.constantFrom<(json: string) => Buffer>(
      (json) => Buffer.from(json),
      (json) => Buffer.from(json),
      (json) => Buffer.from(json),
      (json) => Buffer.from(`\ufeff${json}`),
      (json) => Buffer.from(json, 'utf16le'),
      (json) => Buffer.from(json, 'latin1'),
      (json) => Buffer.from(` \r\n\t${json}\n\n`),
      (json) => Buffer.from(`${json}\0`),
      (json) => Buffer.from(JSON.stringify(json)),
    ),
  )
  .map(([json, encode]) => encode(json));

type Damage = (bytes: Buffer) => Buffer;
const damage = fc.oneof(
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })).map(([place, bits]): Damage => (bytes) => {
    const flipped = Buffer.from(bytes);
    if (bytes.length > 0) flipped[place % bytes.length] = (flipped[place % bytes.length] as number) ^ bits;
    return flipped;
  }),
  fc.nat().map(
    (place): Damage =>
      (bytes) =>
        bytes.subarray(0, bytes.length > 0 ? place % bytes.length : 0),
  ),
  fc.tuple(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 8 })).map(([place, more]): Damage => (bytes) => {
    const at = place % (bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
  }),
);
const mutated = fc
  .tuple(encoded, fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(damage, { maxLength: 3 })))
  .map(([bytes, damages]) => damages.reduce((each: Buffer, make) => make(each), bytes));

const fromNothing = fc.oneof(
  fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
  fc.json({ maxDepth: 5 }).map((json) => Buffer.from(json)),
  fc.constantFrom('', ' ', '{', '[', '"', '{}', '[]', '0', '-', 'null', '\ufeff').map((json) => Buffer.from(json)),
  fc.constant(Buffer.alloc(410_000, 0x20)), // beyond the limit
);

const CODINGS: readonly (readonly [string, (bytes: Buffer) => Buffer])[] = [
  ['gzip', (bytes) => gzipSync(bytes)],
  ['deflate', (bytes) => deflateSync(bytes)],
  ['br', (bytes) => brotliCompressSync(bytes)],
  [' GZip ', (bytes) => gzipSync(bytes)],
  ['gzip', (bytes) => bytes],
  ['deflate', (bytes) => gzipSync(bytes)],
  ['gzip', (bytes) => Buffer.concat([gzipSync(bytes), gzipSync(bytes)])],
  ['gzip', (bytes) => Buffer.concat([gzipSync(bytes), bytes])],
  ['br', (bytes) => brotliCompressSync(bytes).subarray(0, -1)],
  ['gzip', () => gzipSync(Buffer.alloc(5_000_000))],
  ['gzip, gzip', (bytes) => gzipSync(gzipSync(bytes))],
  ['identity', (bytes) => bytes],
  ['', (bytes) => bytes],
  ['__proto__', (bytes) => bytes],
  [NUMBER, (bytes) => bytes],
];

/** A header's value may hold any of these characters; what it means is another matter. */
export const headerValue = fc
  .string({
    unit: fc
      .integer({ min: 0x20, max: 0xff })
      .filter((code) => code !== 0x7f)
      .map((code) => String.fromCharCode(code)),
  })
  .map((value) => value.trim());

const CONTENT_TYPES = [
  'application/json',
  'application/json',
  'APPLICATION/JSON',
  'application/json; charset=utf-8',
  'text/json',
  'application/json;charset=utf-16',
  'application/json; charset="x',
  'application/json, text/plain',
  'json',
  '/',
  'application/x+json',
  'text/plain',
  'multipart/form-data; boundary=x',
  'application/x-www-form-urlencoded',
  '',
  'application/json;',
  ';',
  'application/json; a=b; a=c',
  `text/${NUMBER}`,
  'application/JSON	; x',
];

const framed = (bytes: fc.Arbitrary<Buffer>): fc.Arbitrary<Sent> =>
  fc
    .record({
      bytes,
      type: fc.oneof(
        { weight: 6, arbitrary: fc.constant('application/json') },
        { weight: 2, arbitrary: fc.constantFrom(...CONTENT_TYPES) },
        { weight: 1, arbitrary: headerValue },
      ),
      coding: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, fc.constantFrom(...CODINGS)),
    })
    .map(({ bytes: plain, type, coding }) => ({
      plain,
      bytes: coding ? coding[1](plain) : plain,
      headers: [['Content-Type', type], ...(coding ? [['Content-Encoding', coding[0]] as const] : [])],
    }));

/** Bodies for the webhook: from valid ones by mutation, and from nothing. */
export const bodies = { mutated: framed(mutated), 'from nothing': framed(fromNothing) };
