import { isStorableText } from '../../database/storable-text.js';
import { digestContent } from './content-digest.js';
import { parseJson } from './json-parser.js';
import { Rejection } from './rejection.js';
import { type Completion, MAX_ID_BYTES, parseWorkflowListCompletion } from './workflow-list-completion.js';

/** The supported kinds of notification, as the path of the webhook names them. */
export const KINDS = ['workflow-list-completion'] as const;
export type Kind = (typeof KINDS)[number];

/** Time and kind of a delivery. The id is that of the request. */
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

/** Parses a body by the current rules. They may reject a spooled body that an earlier version accepted. */
export function parseNotification(receipt: Receipt, body: Buffer): Notification | Rejection {
  const json = parseBody(body);
  if (json instanceof Rejection) return json;
  const parsed = parseWorkflowListCompletion(json);
  if ('errors' in parsed) {
    return new Rejection('invalid_fields', 'The notification is not valid: see errors.', body, parsed.errors);
  }
  const contentDigest = digestContent(parsed.completion, json as Record<string, unknown>);
  return { ...receipt, body, completion: parsed.completion, contentDigest };
}

/** Reads the ids that a rejected body contains, or null. Operators use them to find the case in question. */
export function readIds(body: Buffer): Record<'workflow_id' | 'case_id' | 'callee_number', string | null> {
  const json = parseBody(body);
  const read = (name: string): string | null => {
    const value: unknown = typeof json === 'object' && json !== null ? Reflect.get(json, name) : undefined;
    if (typeof value !== 'string' || value === '') return null;
    return isStorableText(value) && Buffer.byteLength(value) <= MAX_ID_BYTES ? value : null;
  };
  return { workflow_id: read('workflow_id'), case_id: read('case_id'), callee_number: read('callee_number') };
}

function parseBody(body: Buffer): unknown {
  try {
    return parseJson(body);
  } catch (error) {
    return new Rejection('not_json', (error as Error).message, body);
  }
}
