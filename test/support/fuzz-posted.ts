import * as fc from 'fast-check';
import { text } from './fuzz-bodies.js';
import { NUMBER } from './fuzz-target.js';

const askedCase = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ case_id: text, workflow_id: text, callee_number: text }, { requiredKeys: ['case_id'] }),
  },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
);

const lookups = fc.oneof(
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
    `{"cases":[{"case_id":"x","${NUMBER}":{"${NUMBER}":{}}}]}`,
    `{"cases":[{"case_id":"x","n${NUMBER}":1}]}`,
    `{"cases":[{"case_id":"\\ud800"}]}`,
    `{"cases":${'['.repeat(100_000)}`,
    `{"cases":{"length":1,"0":{"case_id":"x"}}}`,
    `{"cases":[{"case_id":"x"}],"cases":[]}`,
  ),
  fc.json(),
  fc.string({ unit: 'binary' }),
);

const erasures = fc.oneof(
  fc.record({ callee_number: text }).map((body) => JSON.stringify(body)),
  fc.record({ workflow_id: text, case_id: text }).map((body) => JSON.stringify(body)),
  fc
    .record({ callee_number: fc.jsonValue({ maxDepth: 1 }), workflow_id: text, [NUMBER]: text }, { requiredKeys: [] })
    .map((body) => JSON.stringify(body)),
  fc.json(),
);

/** Bodies for the operations under `/v1` that have one, beside what they are asked for. */
export const posted = fc
  .oneof(fc.tuple(fc.constant('lookupCases'), lookups), fc.tuple(fc.constant('erase'), erasures))
  .map(([operationId, body]) => ({ operationId, body: Buffer.from(body.toWellFormed()) }));
