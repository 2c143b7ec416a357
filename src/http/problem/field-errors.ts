import type { ValidationError } from 'class-validator';
import type { FieldError } from './problem.js';

/**
 * Flattens the errors of class-validator into one entry per fault.
 *
 * @param parent path of the object within the request, such as `rows[1]`
 */
export function toFieldErrors(errors: readonly ValidationError[], parent?: string): FieldError[] {
  return errors.flatMap((error) => {
    const path = pathOf(nameOf(error), parent);
    return [...messagesOf(error).map((message) => ({ path, message })), ...toFieldErrors(error.children ?? [], path)];
  });
}

/** Returns the path of a field; an item of a list has its index as name. */
export function pathOf(name: string, parent?: string): string {
  if (!parent) return name;
  return /^\d+$/.test(name) ? `${parent}[${name}]` : `${parent}.${name}`;
}

/** A value that is not a string fails every rule for strings, so only the first message is useful. */
function messagesOf({ constraints = {} }: ValidationError): string[] {
  if (constraints['whitelistValidation']) return ['is not a known parameter'];
  if (constraints['isString']) return [constraints['isString']];
  return [...new Set(Object.values(constraints))];
}

function nameOf({ property, constraints }: ValidationError): string {
  return constraints?.['whitelistValidation'] ? safeFieldName(property) : property;
}

/**
 * Returns the name of an unknown field if it looks like a name. It is the client's text and may be anything; with a
 * long number in it, it may be a name and a value run together.
 */
export function safeFieldName(name: string): string {
  return /^[a-z_][\w.[\]-]{0,60}$/i.test(name) && !/\d{5}/.test(name) ? name : '(unnamed)';
}
