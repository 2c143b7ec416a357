import { ValidateBy } from 'class-validator';

/** RFC 3339 with a time zone: without one the time would depend on the machine. */
const RFC_3339 = /^(\d{4}-\d{2}-\d{2})[Tt]\d{2}:\d{2}:\d{2}(?:\.\d{1,3}(\d*))?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/** Responses have times of these years only: RFC 3339 has no others, and 0000 has no day before it. */
const EARLIEST_MS = Date.parse('0001-01-01T00:00:00Z');
const LATEST_MS = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * Parses an RFC 3339 time. Stored times have whole milliseconds, so a finer time is rounded up to the next one: this
 * changes neither "at this time or later" nor "before this time". A time outside the years 1 to 9999 in UTC moves to
 * the limit: no stored time is beyond it.
 */
export function parseTime(text: string): Date | undefined {
  const [, day, fraction] = RFC_3339.exec(text) ?? [];
  const milliseconds = Date.parse(text);
  if (day === undefined || Number.isNaN(milliseconds)) return undefined;
  const isDayOfCalendar = new Date(`${day}T00:00:00Z`).toISOString().startsWith(day); // Date parses 31 February as 3 March
  const roundedUp = milliseconds + (Number(fraction ?? '') > 0 ? 1 : 0);
  return isDayOfCalendar ? new Date(Math.min(Math.max(roundedUp, EARLIEST_MS), LATEST_MS)) : undefined;
}

/** Validates a parameter for `parseTime`. */
export function IsTime(): PropertyDecorator {
  return ValidateBy({
    name: 'isTime',
    validator: {
      validate: (value: unknown) => typeof value === 'string' && parseTime(value) !== undefined,
      defaultMessage: () => 'must be a time like 2026-01-31T00:00:00Z (RFC 3339; a plus sign in it is written %2B)',
    },
  });
}
