import { describe, expect, test } from 'vitest';
import { extractCaseIds, containsSubject, extractNumbers } from '../src/ingest/erasure/body-search.js';

const NUMBER = '+62 811-0000';
const names = (body: string): boolean => containsSubject(Buffer.from(body), { callee_number: NUMBER });

describe('a number in a refused body is found', () => {
  test.each([
    ['quoted', `{"n":"${NUMBER}",`],
    ['quoted and escaped', `{"n":"\\u002b62 811-0000",`],
    ['behind a text with quotation marks in it', `{"a":"say \\"hi\\"","n":"${NUMBER}"`],
    ['behind a text that ends with a backslash', `{"a":"C:\\\\","n":"${NUMBER}"`],
    ['where the body is cut off', `{"a":"b","n":"${NUMBER}`],
    ['behind an escaped tab', `{"n":"call\\t${NUMBER}"`],
    ['before a full stop', `Call ${NUMBER}.`],
    ['in an address', `tel/${NUMBER}@s.whatsapp.net`],
    ['between other signs', `|${NUMBER}|_#*`],
    ['in a form', 'callee_number=%2B62%20811-0000&case_id=1'],
    ['in a form that carries JSON', 'payload=%7B%22n%22%3A%22%2B62%20811-0000%22%7D'],
  ])('%s', (_, body) => {
    expect(names(body)).toBe(true);
    expect(names(body.replace('811', '812'))).toBe(false);
  });
});

test('a number that is part of a longer one is not it', () => {
  for (const other of [`${NUMBER}1`, NUMBER.slice(0, -1), NUMBER.slice(1)])
    expect(names(`{"n":"${other}"`)).toBe(false);
});

test('a case is named by whole ids, wherever they stand, and by none that is cut off', () => {
  const body = '{"workflow_id":"w\\u0031","rows":[{"case_id":"one"}],"case_id" : "two';
  expect(extractCaseIds(Buffer.from(body))).toEqual([{ workflow_id: 'w1', case_id: 'one' }]);
  expect(extractCaseIds(Buffer.from('{"workflow_id":"w1","case_id":"tw'))).toEqual([]);
  const deep = { data: [{ workflow_id: 'w1', case_id: 'one' }], workflow_id: 'w2', case_id: 'two' };
  expect(extractCaseIds(Buffer.from(JSON.stringify(deep)))).toEqual(
    expect.arrayContaining([
      { workflow_id: 'w1', case_id: 'one' },
      { workflow_id: 'w2', case_id: 'two' },
    ]),
  );
  const one = { workflow_id: 'w1', case_id: 'one' };
  expect(containsSubject(Buffer.from('<w1> and "one"'), one)).toBe(true);
  for (const other of ['w1 one1', 'w10 one', 'w1 phone', 'w1-one'])
    expect(containsSubject(Buffer.from(other), one), other).toBe(false);
});

/** Where each mark were tried as a beginning, or each kept for a way back, this would take hours, or all of the stack. */
test.each([
  ['quotation marks that are escaped, in a text that is not closed', `"${'\\"'.repeat(2 ** 20)}`],
  ['one text that is not closed', `"${'a'.repeat(2 ** 24)}`],
  ['names of fields without end', '"case_id":"\\'.repeat(2 ** 18)],
])('a body of nothing but %s is looked through like any other', (_, body) => {
  expect(extractNumbers(Buffer.from(`${body} 811-0000`))).toContain('811-0000');
  expect(names(`${body} ${NUMBER}`)).toBe(true);
  expect(extractCaseIds(Buffer.from(body))).toEqual([]);
});
