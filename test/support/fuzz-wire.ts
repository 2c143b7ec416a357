import * as fc from 'fast-check';
import type { Piece } from './fuzz-exchange.js';
import { NUMBER, TOKEN } from './fuzz-target.js';
import { notification, webhookPath } from './service.js';

/** A valid notification, told by its case. */
export function post(caseId: string, headers: readonly string[] = []): string {
  const body = JSON.stringify(notification({ case_id: caseId, callee_number: `+${NUMBER}` }));
  return head('POST', webhookPath(TOKEN), [...headers, `Content-Length: ${Buffer.byteLength(body)}`]) + body;
}

function head(method: string, target: string, headers: readonly string[], version = 'HTTP/1.1'): string {
  return [`${method} ${target} ${version}`, 'Host: service', ...headers, '\r\n'].join('\r\n');
}

/** The case of notifications that lie in the body of another request, and must not be taken for one. */
export const HIDDEN = 'hidden-in-another-request';
const hidden = post(HIDDEN);
const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

const method = fc.constantFrom('POST', 'GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'QUERY');
const address = fc.constantFrom(
  webhookPath(TOKEN),
  webhookPath('wrong'),
  '/health/live',
  '/v1/cases',
  '/nowhere',
  '/docs',
  '*',
  '//',
  '/%',
  `http://service${webhookPath(TOKEN)}`,
  'http://elsewhere.example/v1/cases',
  'http:///',
  '/v1/cases/lookup',
);

/** Ways to spell a header that one who reads takes for what it is, and another does not. */
const SPELLED: readonly ((name: string, value: string) => string)[] = [
  (name, value) => `${name}: ${value}`,
  (name, value) => `${name.toUpperCase()}:${value.toUpperCase()}`,
  (name, value) => `${name} : ${value}`,
  (name, value) => ` ${name}: ${value}`,
  (name, value) => `${name}:\t${value}\t`,
  (name, value) => `${name}:\v${value}`,
  (name, value) => `${name}:\0${value}`,
  (name, value) => `${name}:\r\n ${value}`,
  (name, value) => `${name}: ,${value}`,
  (name, value) => `${name}: "${value}"`,
  (name, value) => `${name}: ${value};q=1`,
  (name, value) => `X: x\n${name}: ${value}`,
  (name, value) => `X: x\r${name}: ${value}`,
  (name, value) => `X: x\r\r\n${name}: ${value}`,
  (name, value) => `X: x\r\n\t\r\n${name}: ${value}`,
  (name, value) => `${name}\r\n: ${value}`,
  (name, value) => `${name.replace('-', '_')}: ${value}`,
  (name, value) => `${name}\0: ${value}`,
  (name, value) => `\ufeff${name}: ${value}`,
  (name, value) => `Connection: ${name}\r\n${name}: ${value}`,
];
const CODINGS = [
  'chunked',
  'xchunked',
  'identity',
  'chunked, identity',
  'identity, chunked',
  'gzip, chunked',
  'chunked, chunked',
  'chunke',
];
const transferEncoding = fc
  .tuple(fc.constantFrom(...SPELLED), fc.constantFrom(...CODINGS))
  .map(([spell, coding]) => spell('Transfer-Encoding', coding));
const contentLength = (length: number): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.constantFrom(...SPELLED),
      fc.constantFrom(
        '0',
        '00',
        '-0',
        '-1',
        '+0',
        '0x0',
        '0,0',
        '1e1',
        ' ',
        '',
        '9'.repeat(20),
        '18446744073709551616',
        '0 0',
        '٠',
        `${length}`,
        `0${length}`,
        `+${length}`,
        `${length},${length}`,
        `0, ${length}`,
        `${length}, 0`,
      ),
    )
    .map(([spell, value]) => spell('Content-Length', value));

/** Chunks as the standard has them, and chunks in which one who reads leniently finds the end too early. */
const CHUNKED: readonly string[] = [
  `${chunk(hidden)}0\r\n\r\n`,
  `0\r\n\r\n`,
  `0;a=b\r\n\r\n`,
  `1;\nx\r\n0\r\n\r\n`,
  `1\nx\n0\n\n`,
  `1\r\nxx\r\n0\r\n\r\n`,
  `0x1\r\nx\r\n0\r\n\r\n`,
  `+1\r\nx\r\n0\r\n\r\n`,
  ` 1\r\nx\r\n0\r\n\r\n`,
  `1 \r\nx\r\n0\r\n\r\n`,
  `10000000000000001\r\nx\r\n0\r\n\r\n`,
  `-1\r\nx\r\n0\r\n\r\n`,
  `1;${'e'.repeat(20_000)}\r\nx\r\n0\r\n\r\n`,
  `0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n`,
  `0\r\n${NUMBER}\r\n\r\n`,
  `0\r\n`,
  '',
];

/** All that comes behind the first request is part of its body, or of nothing. The last is for sure no request of its own. */
const length = Buffer.byteLength(hidden);
export const smuggled: fc.Arbitrary<readonly Piece[]> = fc
  .record({
    start: fc.tuple(method, address),
    // Whole in the body by a plain length: whatever stands beside it either makes no difference or makes it no request.
    beside: fc.array(fc.oneof(transferEncoding, contentLength(length)), { maxLength: 2 }),
    first: fc.boolean(),
    body: fc.constantFrom(...CHUNKED),
    others: fc.subarray([
      'Connection: keep-alive',
      'Expect: 100-continue',
      'Content-Type: application/json',
      `X-A: ${NUMBER}`,
    ]),
  })
  .map(({ start, beside, first, body, others }) => {
    const whole = `Content-Length: ${Buffer.byteLength(body) + length}`;
    const headers = first ? [whole, ...beside, ...others] : [...others, ...beside, whole];
    return [[Buffer.from(head(...start, headers) + body + hidden, 'latin1'), 0]];
  });

/** Chunks alone, however their coding is spelled: what hides is in a chunk, and a length in front of it is no request. */
export const inChunks: fc.Arbitrary<readonly Piece[]> = fc
  .record({
    start: fc.tuple(fc.constantFrom('POST', 'PUT', 'GET'), address),
    coding: transferEncoding,
    body: fc.constantFrom(...CHUNKED),
  })
  .map(({ start, coding, body }) => [[Buffer.from(head(...start, [coding]) + body, 'latin1'), 0]]);

/** What other protocols, old ones and no ones would say. */
const FOREIGN: readonly string[] = [
  'GET /\r\n',
  'GET /health/live\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0',
  '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
  'CONNECT service:443 HTTP/1.1\r\nHost: service:443\r\n\r\n',
  'CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n',
  head('GET', '/health/live', ['Connection: close'], 'HTTP/1.0'),
  head('GET', '/health/live', [], 'HTTP/1.2'),
  head('GET', '/health/live', [], 'HTTP/3.0'),
  head('GET', '/health/live', [
    'Upgrade: h2c',
    'Connection: Upgrade, HTTP2-Settings',
    'HTTP2-Settings: AAMAAABkAAQAAP__',
  ]),
  head('GET', '/v1/completions', ['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Key: x']),
  head('GET', `/${'a'.repeat(20_000)}`, []),
  head('GET', `/${NUMBER}${'%41'.repeat(5_000)}`, []),
  head('GET', '/', [`X: ${'a'.repeat(20_000)}`]),
  head(
    'GET',
    '/',
    Array.from({ length: 1500 }, (_, n) => `X${n}: ${n}`),
  ),
  head(
    'GET',
    '/',
    Array.from({ length: 150 }, (_, n) => `X${n}: ${n}`),
  ),
  head('GET', `/${NUMBER}\xff\x00`, []),
  head('G\xcbT', '/', []),
  head(NUMBER, '/', []),
  head('OPTIONS', '*', []),
  head('GET', 'service:80', []),
  head('GET', '', []),
  head('GET', '/ /', []),
  '\r\n\r\n\r\n',
  '\n\n',
  'EHLO service\r\n',
  '*1\r\n$4\r\nPING\r\n',
  '{"case_id":1}',
];

const base = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...FOREIGN) },
  fc.constantFrom(
    post('mutated'),
    head('GET', '/v1/cases', []),
    head('POST', '/v1/cases/lookup', ['Transfer-Encoding: chunked']) + CHUNKED[0],
  ),
);
const change = fc.tuple(fc.nat(), fc.nat(3), fc.uint8Array({ minLength: 1, maxLength: 6 }));

/** Whatever comes over a connection. */
export const broken: fc.Arbitrary<readonly Piece[]> = fc.oneof(
  fc.uint8Array({ maxLength: 2000 }).map((bytes): Piece[] => [[Buffer.from(bytes), 0]]),
  fc.tuple(base, fc.array(change, { maxLength: 3 })).map(([text, changes]): Piece[] => {
    let bytes = Buffer.from(text, 'latin1');
    for (const [place, removed, more] of changes) {
      const at = place % (bytes.length + 1);
      bytes = Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at + removed)]);
    }
    return [[bytes, 0]];
  }),
);

/** Cuts bytes into pieces that are sent one by one. */
export function inPieces(bytes: Buffer, places: readonly number[], pauseMs: number): Piece[] {
  const cuts = [0, ...new Set(places.map((place) => place % bytes.length))].toSorted((a, b) => a - b);
  return cuts.map((from, index) => [bytes.subarray(from, cuts[index + 1] ?? bytes.length), pauseMs]);
}
