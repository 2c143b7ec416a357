import { parseJson } from '../notification/json-parser.js';
import { MAX_ID_BYTES } from '../notification/workflow-list-completion.js';

/** The person to search for: a number, or the customer's id of a case in a workflow. */
export type Subject = { readonly callee_number: string } | { readonly workflow_id: string; readonly case_id: string };
type CaseSubject = Extract<Subject, { case_id: string }>;

const DIGIT = /\d/;
const PART_OF_ID = /[\p{L}\p{N}_-]/u;

/**
 * Returns whether a rejected body mentions a subject anywhere: as plain text, in JSON escapes (`\u002b`), or in form escapes
 * (`%2B`). Searches the bytes and not the parsed body: a parser drops one of two equal fields, and rejects a truncated body.
 */
export function containsSubject(body: Buffer, subject: Subject): boolean {
  const variants = decodedVariants(body);
  const contains = (text: string, part: RegExp): boolean =>
    variants.some((variant) => containsToken(variant, text, part));
  if ('callee_number' in subject) return contains(subject.callee_number, DIGIT);
  return contains(subject.workflow_id, PART_OF_ID) && contains(subject.case_id, PART_OF_ID);
}

/** Extracts every text that may be a number: each quoted text, each word, and each run of digits. */
export function extractNumbers(body: Buffer): Set<string> {
  const found = new Set<string>();
  for (const variant of decodedVariants(body)) {
    for (const text of quotedTexts(variant)) found.add(text);
    for (const word of variant.split(WORD_SEPARATORS)) found.add(word);
    for (const [digits] of variant.matchAll(/\+?\d{4,}/g)) found.add(digits).add(digits.replace('+', ''));
  }
  return found;
}

/** Extracts the cases with both ids, at any depth of the JSON. If the body is not JSON: the first of each id. */
export function extractCaseIds(body: Buffer): CaseSubject[] {
  try {
    return findCases(parseJson(body));
  } catch {
    const text = toText(body);
    const [workflow_id, case_id] = [fieldIn(text, 'workflow_id'), fieldIn(text, 'case_id')];
    return workflow_id !== undefined && case_id !== undefined ? [{ workflow_id, case_id }] : [];
  }
}

/** No phone number and no id contains these characters. */
const WORD_SEPARATORS = /[\s"',;:{}[\]()<>=&\\|/]+/;

function decodedVariants(body: Buffer): string[] {
  const text = toText(body);
  const unescaped = unescape(text);
  return [...new Set([text, unescaped, decodePercent(unescaped)])];
}

/** True if the text contains the needle, but not only as a part of a longer token. */
function containsToken(text: string, needle: string, part: RegExp): boolean {
  const continues = (one: string | undefined, other: string | undefined): boolean =>
    part.test(one ?? '') && part.test(other ?? '');
  for (let index = text.indexOf(needle); index !== -1; index = text.indexOf(needle, index + 1)) {
    const isPart = continues(text[index - 1], needle[0]) || continues(needle.at(-1), text[index + needle.length]);
    if (!isPart) return true;
  }
  return false;
}

function findCases(parsed: unknown): CaseSubject[] {
  const found: CaseSubject[] = [];
  const pending = [parsed];
  while (pending.length > 0) {
    const next = pending.pop();
    if (typeof next !== 'object' || next === null) continue;
    const { workflow_id, case_id } = next as Record<string, unknown>;
    if (typeof workflow_id === 'string' && typeof case_id === 'string') found.push({ workflow_id, case_id });
    for (const inner of Object.values(next)) pending.push(inner);
  }
  return found;
}

/** Ignores a truncated value: it may belong to another person. */
function fieldIn(text: string, name: string): string | undefined {
  const found = new RegExp(`"${name}"\\s*:\\s*"`).exec(text);
  const begin = found ? found.index + found[0].length : text.length;
  const end = endOfQuoted(text, begin);
  return end < text.length ? unescape(text.slice(begin, end)) : undefined;
}

function* quotedTexts(text: string): Generator<string> {
  for (let mark = text.indexOf('"'), end = 0; mark !== -1; mark = text.indexOf('"', end + 1)) {
    end = endOfQuoted(text, mark + 1);
    if (end - mark <= 2 * MAX_ID_BYTES) yield unescape(text.slice(mark + 1, end));
  }
}

/**
 * Returns the index of the closing quote, or the end of the text. It is not a RegExp: on hostile input one backtracks
 * quadratically or overflows the stack.
 */
function endOfQuoted(text: string, begin: number): number {
  for (let index = begin; index < text.length; index += 1) {
    if (text[index] === '"') return index;
    if (text[index] === '\\') index += 1; // skip the escaped character
  }
  return text.length;
}

/** Reads UTF-16 too: the numbers and ids in it are UTF-8 with zeros in between. */
function toText(body: Buffer): string {
  return body.toString('utf8').replaceAll('\0', '');
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

function unescape(text: string): string {
  return text.replaceAll(/\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))/g, (_all, hex?: string, plain = '') =>
    hex === undefined ? (ESCAPES[plain as string] ?? (plain as string)) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function decodePercent(text: string): string {
  return text.replaceAll(/%([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
