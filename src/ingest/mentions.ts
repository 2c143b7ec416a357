import type { Subject } from './erasures.js';
import { parseJson } from './json.js';

/** What no phone number and no id runs across. */
const BETWEEN_WORDS = /[\s"',;:{}[\]()<>=&\\]+/;

/** Whether the bytes of a refused body name somebody. */
export function mentions(body: Buffer, subject: Subject): boolean {
  if ('callee_number' in subject) return textsIn(body).some((text) => text === subject.callee_number);
  const named = caseNamedIn(body);
  return named?.workflow_id === subject.workflow_id && named.case_id === subject.case_id;
}

/**
 * Every text in the bytes of a refused body that may be somebody's number: each quoted text, and each word. Looked for in the
 * bytes rather than in what they parse to: of a field that is there twice, parsing would tell one.
 */
export function textsIn(body: Buffer): string[] {
  const text = toText(body);
  return [...quotedIn(text), ...unescape(text).split(BETWEEN_WORDS)];
}

/** The ids of the case that a refused body is about, also where it is cut off; undefined if it does not name both. */
export function caseNamedIn(body: Buffer): { workflow_id: string; case_id: string } | undefined {
  const read = fieldsOf(body);
  const [workflow_id, case_id] = [read('workflow_id'), read('case_id')];
  return typeof workflow_id === 'string' && typeof case_id === 'string' ? { workflow_id, case_id } : undefined;
}

function fieldsOf(body: Buffer): (name: string) => unknown {
  try {
    const parsed = parseJson(body) as Record<string, unknown> | null;
    return (name) => parsed?.[name];
  } catch {
    const text = toText(body);
    return (name) => {
      const found = new RegExp(`"${name}"\\s*:\\s*"`).exec(text);
      const begin = found ? found.index + found[0].length : text.length;
      const end = endOfQuoted(text, begin);
      return end < text.length ? unescape(text.slice(begin, end)) : undefined; // what is cut off may be anybody's
    };
  }
}

function* quotedIn(text: string): Generator<string> {
  for (let mark = text.indexOf('"'), end = 0; mark !== -1; mark = text.indexOf('"', end + 1)) {
    end = endOfQuoted(text, mark + 1);
    yield unescape(text.slice(mark + 1, end));
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

/** Resolves what JSON escapes; `\u002b` may be the first character of a number. */
function unescape(text: string): string {
  return text.replaceAll(/\\(?:u([0-9a-f]{4})|(["\\/]))/gi, (_all, hex?: string, plain = '') =>
    hex === undefined ? (plain as string) : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
