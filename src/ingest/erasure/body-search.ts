import { parseJson } from '../notification/json-parser.js';
import { MAX_ID_BYTES } from '../notification/workflow-list-completion.js';

/** Who may be mentioned: by number, or by the customer's own id in a workflow. */
export type Subject = { readonly callee_number: string } | { readonly workflow_id: string; readonly case_id: string };
type CaseOf = Extract<Subject, { case_id: string }>;

const DIGIT = /\d/;
const PART_OF_ID = /[\p{L}\p{N}_-]/u;

/**
 * Whether a refused body mentions somebody, anywhere and in whatever words: as it is, in JSON's escapes (`\u002b`), or in those
 * of forms (`%2B`). Looked for in the bytes rather than in what they parse to: of a field that is there twice, parsing would
 * tell one, and of what is cut off nothing.
 */
export function containsSubject(body: Buffer, subject: Subject): boolean {
  const readings = decodedVariants(body);
  const stands = (text: string, part: RegExp): boolean =>
    readings.some((reading) => containsToken(reading, text, part));
  if ('callee_number' in subject) return stands(subject.callee_number, DIGIT);
  return stands(subject.workflow_id, PART_OF_ID) && stands(subject.case_id, PART_OF_ID);
}

/** Every text in a refused body that may be somebody's number: each quoted text, each word, and each row of digits. */
export function extractNumbers(body: Buffer): Set<string> {
  const found = new Set<string>();
  for (const reading of decodedVariants(body)) {
    for (const text of quotedIn(reading)) found.add(text);
    for (const word of reading.split(BETWEEN_WORDS)) found.add(word);
    for (const [row] of reading.matchAll(/\+?\d{4,}/g)) found.add(row).add(row.replace('+', ''));
  }
  return found;
}

/** The cases that a refused body names by both ids: wherever in its JSON; where it is none, the first of each id. */
export function extractCaseIds(body: Buffer): CaseOf[] {
  try {
    return casesOf(parseJson(body));
  } catch {
    const text = toText(body);
    const [workflow_id, case_id] = [fieldIn(text, 'workflow_id'), fieldIn(text, 'case_id')];
    return workflow_id !== undefined && case_id !== undefined ? [{ workflow_id, case_id }] : [];
  }
}

/** What no phone number and no id runs across. */
const BETWEEN_WORDS = /[\s"',;:{}[\]()<>=&\\|/]+/;

function decodedVariants(body: Buffer): string[] {
  const text = toText(body);
  const unescaped = unescape(text);
  return [...new Set([text, unescaped, decodePercent(unescaped)])];
}

/** Neither in the middle of something longer, nor at its beginning or end. */
function containsToken(text: string, needle: string, part: RegExp): boolean {
  const continues = (one: string | undefined, other: string | undefined): boolean =>
    part.test(one ?? '') && part.test(other ?? '');
  for (let place = text.indexOf(needle); place !== -1; place = text.indexOf(needle, place + 1)) {
    const isCut = continues(text[place - 1], needle[0]) || continues(needle.at(-1), text[place + needle.length]);
    if (!isCut) return true;
  }
  return false;
}

function casesOf(parsed: unknown): CaseOf[] {
  const found: CaseOf[] = [];
  const open = [parsed];
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next !== 'object' || next === null) continue;
    const { workflow_id, case_id } = next as Record<string, unknown>;
    if (typeof workflow_id === 'string' && typeof case_id === 'string') found.push({ workflow_id, case_id });
    for (const inner of Object.values(next)) open.push(inner);
  }
  return found;
}

/** What is cut off may be anybody's. */
function fieldIn(text: string, name: string): string | undefined {
  const found = new RegExp(`"${name}"\\s*:\\s*"`).exec(text);
  const begin = found ? found.index + found[0].length : text.length;
  const end = endOfQuoted(text, begin);
  return end < text.length ? unescape(text.slice(begin, end)) : undefined;
}

function* quotedIn(text: string): Generator<string> {
  for (let mark = text.indexOf('"'), end = 0; mark !== -1; mark = text.indexOf('"', end + 1)) {
    end = endOfQuoted(text, mark + 1);
    if (end - mark <= 2 * MAX_ID_BYTES) yield unescape(text.slice(mark + 1, end));
  }
}

/** Before its closing mark, or with the body. An expression for this runs out of stack, or tries every mark as a beginning. */
function endOfQuoted(text: string, begin: number): number {
  for (let place = begin; place < text.length; place += 1) {
    if (text[place] === '"') return place;
    if (text[place] === '\\') place += 1; // and what it escapes
  }
  return text.length;
}

/** As far as numbers and ids go, UTF-16 is UTF-8 with zeros in between. */
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
