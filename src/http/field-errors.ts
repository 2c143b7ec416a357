import type { ValidationError } from 'class-validator';
import type { FieldError } from './problem.js';

/** Flattens class-validator's tree into one line per fault, with paths as the provider writes them: `rows[1].node_type`. */
export function toFieldErrors(errors: readonly ValidationError[], parent = ''): FieldError[] {
  return errors.flatMap((error) => {
    const path = /^\d+$/.test(error.property) ? `${parent}[${error.property}]` : joinPath(parent, nameOf(error));
    return [...messagesOf(error).map((message) => ({ path, message })), ...toFieldErrors(error.children ?? [], path)];
  });
}

/** What is no string fails every rule about strings too; saying so once is clearer. */
function messagesOf({ constraints = {} }: ValidationError): string[] {
  if (constraints['whitelistValidation']) return ['is not a known parameter'];
  if (constraints['isString']) return [constraints['isString']];
  return [...new Set(Object.values(constraints))];
}

/** An unknown parameter's name is the client's own text, and may be anything: it is told if it looks like a name. */
function nameOf({ property, constraints }: ValidationError): string {
  const isNameLike = !constraints?.['whitelistValidation'] || /^[a-z_][\w.[\]-]{0,60}$/i.test(property);
  return isNameLike ? property : '(unnamed)';
}

function joinPath(parent: string, property: string): string {
  return parent === '' ? property : `${parent}.${property}`;
}
