import { createHash, type Hash } from 'node:crypto';
import type { Completion } from './workflow-list-completion.js';

/** Names the layout of the parts below: a change of the layout must not look like a change of content. */
const LAYOUT = 'workflow-list-completion/1';
const KNOWN = ['workflow_id', 'workflow_name', 'case_id', 'callee_number', 'rows'];
const KNOWN_IN_ROW = ['nodetask_id', 'nodetask_name', 'node_type', 'task_id'];

/**
 * SHA-256 of what a notification says, unknown fields included: equal for two deliveries if nothing but the order of
 * keys, white space, the spelling of characters and numbers, or the way of saying "no task" differs. Numbers in unknown
 * fields are compared as JavaScript reads them, to some sixteen digits; the bytes of each delivery are kept anyway. The provider sends
 * neither an id nor a time, so this alone tells a repeat from a change.
 *
 * Every part is preceded by its type and length, so no two different contents run together into the same bytes.
 */
export function digestContent(completion: Completion, body: Record<string, unknown>): Buffer {
  const hash = createHash('sha256');
  const { workflow_id, workflow_name, case_id, callee_number, rows } = completion;
  for (const text of [LAYOUT, workflow_id, workflow_name, case_id, callee_number]) addText(hash, text);
  addLength(hash, 'rows', rows.length);
  rows.forEach((row, index) => {
    for (const text of [row.nodetask_id, row.nodetask_name, row.node_type, row.task_id ?? '']) addText(hash, text);
    addUnknown(hash, (body['rows'] as Record<string, unknown>[])[index] as Record<string, unknown>, KNOWN_IN_ROW);
  });
  addUnknown(hash, body, KNOWN);
  return hash.digest();
}

function addUnknown(hash: Hash, object: Record<string, unknown>, known: readonly string[]): void {
  const keys = Object.keys(object)
    .filter((key) => !known.includes(key))
    .sort();
  addLength(hash, 'more', keys.length);
  for (const key of keys) {
    addText(hash, key);
    addValue(hash, object[key]);
  }
}

/** Walks the value with a stack of its own: how deep a sender nests must not be able to exhaust ours. */
function addValue(hash: Hash, value: unknown): void {
  const pending: unknown[] = [value];
  while (pending.length > 0) {
    const next = pending.pop();
    if (next instanceof Key) addText(hash, next.text);
    else if (typeof next === 'string') addText(hash, next);
    else if (Array.isArray(next)) {
      addLength(hash, 'array', next.length);
      for (const item of next.toReversed()) pending.push(item);
    } else if (typeof next === 'object' && next !== null) {
      const keys = Object.keys(next).sort();
      addLength(hash, 'object', keys.length);
      for (const key of keys.toReversed()) pending.push((next as Record<string, unknown>)[key], new Key(key));
    } else addLength(hash, String(next), 0); // a number, a boolean or null says all by its word
  }
}

/** Tells an object's key from a string among the pending values. */
class Key {
  constructor(readonly text: string) {}
}

/** Half a surrogate pair has no UTF-8 of its own; escaped, one half differs from another. */
function addText(hash: Hash, text: string): void {
  if (!text.isWellFormed()) {
    addText(hash, JSON.stringify(text));
    hash.update('escaped;');
    return;
  }
  addLength(hash, 'text', Buffer.byteLength(text));
  hash.update(text);
}

function addLength(hash: Hash, type: string, length: number): void {
  hash.update(`${type}:${length};`);
}
