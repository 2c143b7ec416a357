/** A statement whose text depends on its parameters, with the values of these. */
export interface ParameterizedQuery {
  readonly text: string;
  readonly parameters: unknown[];
}

/**
 * Adds a value to the parameters of a statement. Returns its placeholder, for example `$1`, or `$1::text` with a type.
 */
export type Bind = (value: unknown, type?: string) => string;

/** Builds a statement that binds its parameters in the order in which `toText` asks for placeholders. */
export function buildQuery(toText: (bind: Bind) => string): ParameterizedQuery {
  const parameters: unknown[] = [];
  const bind: Bind = (value, type) => `$${parameters.push(value)}${type === undefined ? '' : `::${type}`}`;
  return { text: toText(bind), parameters };
}

/** The WHERE clause in which all conditions hold; empty if there are none. */
export function toWhere(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
}
