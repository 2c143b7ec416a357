import { describe, expect, test } from 'vitest';
import { caseNamedIn, mentions, textsIn } from '../src/ingest/mentions.js';

const NUMBER = '+62 811-0000';
const names = (body: string): boolean => mentions(Buffer.from(body), { callee_number: NUMBER });

describe('a number in a refused body is found', () => {
  test.each([
    ['quoted', `{"n":"${NUMBER}",`],
    ['quoted and escaped', `{"n":"\\u002b62 811-0000",`],
    ['behind a text with quotation marks in it', `{"a":"say \\"hi\\"","n":"${NUMBER}"`],
    ['behind a text that ends with a backslash', `{"a":"C:\\\\","n":"${NUMBER}"`],
    ['where the body is cut off', `{"a":"b","n":"${NUMBER}`],
  ])('%s', (_, body) => {
    expect(names(body)).toBe(true);
    expect(names(body.replace('811', '812'))).toBe(false);
  });
});

test('a case is named by whole ids, and by none that is cut off', () => {
  const body = '{"workflow_id":"w\\u0031","rows":[{"case_id":"one"}],"case_id" : "two';
  expect(caseNamedIn(Buffer.from(body))).toEqual({ workflow_id: 'w1', case_id: 'one' });
  expect(caseNamedIn(Buffer.from('{"workflow_id":"w1","case_id":"tw'))).toBeUndefined();
});

/** Where each mark were tried as a beginning, or each kept for a way back, this would take hours, or all of the stack. */
test.each([
  ['quotation marks that are escaped, in a text that is not closed', `"${'\\"'.repeat(2 ** 20)}`],
  ['one text that is not closed', `"${'a'.repeat(2 ** 24)}`],
  ['names of fields without end', '"case_id":"\\'.repeat(2 ** 18)],
])('a body of nothing but %s is looked through like any other', (_, body) => {
  expect(textsIn(Buffer.from(`${body} ${NUMBER}`)).at(-1)).toBe('811-0000');
  expect(caseNamedIn(Buffer.from(body))).toBeUndefined();
});
