import { ValidateBy, type ValidationOptions } from 'class-validator';

/** True if PostgreSQL can hold the text as it is: its UTF-8 has no NUL and no half of a surrogate pair. */
export function isStorableText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

/** Accepts strings that PostgreSQL can hold. Other rules check the type. */
export function IsStorableText(options?: ValidationOptions): PropertyDecorator {
  return ValidateBy(
    {
      name: 'isStorableText',
      validator: {
        validate: (value: unknown) => typeof value !== 'string' || isStorableText(value),
        defaultMessage: () => 'must have no NUL character and no unpaired surrogate',
      },
    },
    options,
  );
}

/**
 * Accepts strings of at most `limit` bytes in UTF-8. Other rules check the type.
 *
 * Ids need a limit because PostgreSQL rejects an index entry of more than about 2,700 bytes.
 */
export function MaxBytes(limit: number, options?: ValidationOptions): PropertyDecorator {
  return ValidateBy(
    {
      name: 'maxBytes',
      validator: {
        validate: (value: unknown) => typeof value !== 'string' || Buffer.byteLength(value) <= limit,
        defaultMessage: () => `must have at most ${limit} bytes in UTF-8`,
      },
    },
    options,
  );
}
