import type { ValidationError } from 'class-validator';
import type { FieldError } from './problem.js';

/**
 * Turns what class-validator found on an object, and on what is in it, into one line per fault.
 *
 * @param parent where that object stands, if it is a part of something: `rows[1]`
 */
export function toFieldErrors(errors: readonly ValidationError[], parent?: string): FieldError[] {
  return errors.flatMap((error) => {
    const path = pathOf(nameOf(error), parent);
    return [...messagesOf(error).map((message) => ({ path, message })), ...toFieldErrors(error.children ?? [], path)];
  });
}

/** The items of a list are named by their numbers. */
export function pathOf(name: string, parent?: string): string {
  if (!parent) return name;
  return /^\d+$/.test(name) ? `${parent}[${name}]` : `${parent}.${name}`;
}

/** What is no string fails every rule about strings too; saying so once is clearer. */
function messagesOf({ constraints = {} }: ValidationError): string[] {
  if (constraints['whitelistValidation']) return ['is not a known parameter'];
  if (constraints['isString']) return [constraints['isString']];
  return [...new Set(Object.values(constraints))];
}

function nameOf({ property, constraints }: ValidationError): string {
  return constraints?.['whitelistValidation'] ? safeFieldName(property) : property;
}

/**
 * An unknown parameter's or field's name is the client's own text, and may be anything: it is told if it looks like a name. One with
 * a number in it may be the name and the value, run together.
 */
export function safeFieldName(name: string): string {
  return /^[a-z_][\w.[\]-]{0,60}$/i.test(name) && !/\d{5}/.test(name) ? name : '(unnamed)';
}
