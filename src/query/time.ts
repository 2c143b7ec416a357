import { ValidateBy } from 'class-validator';

/** RFC 3339 with a time zone: without one it would mean something else on each machine. */
const RFC_3339 = /^(\d{4}-\d{2}-\d{2})[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,3}(\d*))?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/**
 * Reads an RFC 3339 time. Stored times have whole milliseconds, so a bound between two of them is moved up to the next:
 * that changes neither "at this time or later" nor "before this time".
 */
export function parseTime(text: string): Date | undefined {
  const [, day, finer] = RFC_3339.exec(text) ?? [];
  const milliseconds = Date.parse(text);
  if (day === undefined || Number.isNaN(milliseconds)) return undefined;
  const isDayOfCalendar = new Date(`${day}T00:00:00Z`).toISOString().startsWith(day); // 31 February is read as 3 March
  return isDayOfCalendar ? new Date(milliseconds + (Number(finer ?? '') > 0 ? 1 : 0)) : undefined;
}

/** A parameter that `parseTime` can read. */
export function IsTime(): PropertyDecorator {
  return ValidateBy({
    name: 'isTime',
    validator: {
      validate: (value: unknown) => typeof value === 'string' && parseTime(value) !== undefined,
      defaultMessage: () => 'must be a time like 2026-01-31T00:00:00Z (RFC 3339; a plus sign in it is written %2B)',
    },
  });
}
