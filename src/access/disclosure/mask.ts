const SHOWN = 3;
const FULLY_MASKED_LENGTH = 6;

/** Masks all but the last three characters of a phone number, or all if it has six or fewer. */
export function maskNumber(number: string): string {
  const characters = [...number];
  const shown = characters.length > FULLY_MASKED_LENGTH ? characters.slice(-SHOWN) : [];
  return '*'.repeat(characters.length - shown.length) + shown.join('');
}
