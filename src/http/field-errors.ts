import type { ValidationError } from 'class-validator';
import type { FieldError } from './problem.js';

/** Flattens class-validator's tree into one line per fault, with paths as the provider writes them: `rows[1].node_type`. */
export function toFieldErrors(errors: readonly ValidationError[], parent = ''): FieldError[] {
  return errors.flatMap((error) => {
    const path = /^\d+$/.test(error.property) ? `${parent}[${error.property}]` : joinPath(parent, error.property);
    return [...messagesOf(error).map((message) => ({ path, message })), ...toFieldErrors(error.children ?? [], path)];
  });
}

/** What is no string fails every rule about strings too; saying so once is clearer. */
function messagesOf({ constraints = {} }: ValidationError): string[] {
  if (constraints['whitelistValidation']) return ['is not a known parameter'];
  if (constraints['isString']) return [constraints['isString']];
  return [...new Set(Object.values(constraints))];
}

function joinPath(parent: string, property: string): string {
  return parent === '' ? property : `${parent}.${property}`;
}
