import * as fc from 'fast-check';
import { headerValue } from './fuzz-bodies.js';
import { KEY, NUMBER } from './fuzz-target.js';

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
