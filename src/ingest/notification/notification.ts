import { isStorableText } from '../../database/storable-text.js';
import { digestContent } from './content-digest.js';
import { parseJson } from './json-parser.js';
import { Rejection } from './rejection.js';
import { type Completion, MAX_ID_BYTES, parseWorkflowListCompletion } from './workflow-list-completion.js';

/** The kinds of notification that the door knows, as its path names them. */
export const KINDS = ['workflow-list-completion'] as const;
export type Kind = (typeof KINDS)[number];

/** When and how a body came in. The id is the request's. */
export interface Receipt {
  readonly id: string;
  readonly receivedAt: Date;
  readonly kind: Kind;
}

/** A valid notification, ready to be written. */
export interface Notification extends Receipt {
  readonly body: Buffer;
  readonly completion: Completion;
  readonly contentDigest: Buffer;
}

/**
 * Judges the bytes of a body.
 *
 * @throws Refusal if they are no valid notification
 */
export function judge(receipt: Receipt, body: Buffer): Notification {
  const parsed = parseOrRefuse(body);
  const judged = parseWorkflowListCompletion(parsed);
  if ('errors' in judged) {
    throw new Rejection('invalid_fields', 'The notification is not valid: see errors.', body, judged.errors);
  }
  const contentDigest = digestContent(judged.completion, parsed as Record<string, unknown>);
  return { ...receipt, body, completion: judged.completion, contentDigest };
}

/** Judges bytes that were kept: what an earlier version of this service accepted may be refused by this one. */
export function judgeAgain(receipt: Receipt, body: Buffer): Notification | Rejection {
  try {
    return judge(receipt, body);
  } catch (error) {
    if (error instanceof Rejection) return error;
    throw error;
  }
}

/** The ids that can be read from a refused body; null where there is none. They help to find the case it was about. */
export function readIds(body: Buffer): Record<'workflow_id' | 'case_id' | 'callee_number', string | null> {
  let parsed: unknown;
  try {
    parsed = parseJson(body);
  } catch {
    parsed = undefined;
  }
  const read = (name: string): string | null => {
    const value: unknown = typeof parsed === 'object' && parsed !== null ? Reflect.get(parsed, name) : undefined;
    if (typeof value !== 'string' || value === '') return null;
    return isStorableText(value) && Buffer.byteLength(value) <= MAX_ID_BYTES ? value : null;
  };
  return { workflow_id: read('workflow_id'), case_id: read('case_id'), callee_number: read('callee_number') };
}

function parseOrRefuse(body: Buffer): unknown {
  try {
    return parseJson(body);
  } catch (error) {
    throw new Rejection('not_json', (error as Error).message, body);
  }
}
