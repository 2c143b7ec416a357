/**
 * Restores the plus sign of a phone number. In a query string `+` means a space, and no number starts with a space.
 * For class-transformer's `@Transform`.
 */
export function plusFromSpace({ value }: { value: unknown }): unknown {
  return typeof value === 'string' ? value.replace(/^ /, '+') : value;
}
