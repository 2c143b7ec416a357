const decoder = new TextDecoder('utf-8', { fatal: true });

/** Searching for the place of a fault parses the text some twenty times: not for texts of any size. */
const MAX_LOCATED_LENGTH = 64 * 1024;

/**
 * Parses the bytes of a JSON text in UTF-8, with or without a byte order mark.
 *
 * @throws Error whose message says what is wrong where, and repeats nothing of the text
 */
export function parseJson(bytes: Buffer): unknown {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    throw new Error('The body is not UTF-8.');
  }
  if (text.trim() === '') throw new Error('The body is empty.');
  try {
    return JSON.parse(text);
  } catch (error) {
    // oxlint-disable-next-line preserve-caught-error -- the parser's message repeats the text, which may hold a number
    throw new Error(describeFault(text, error));
  }
}

function describeFault(text: string, error: unknown): string {
  if (isCutShort(error, text.length)) return 'The body is not JSON: it ends too early.';
  if (text.length > MAX_LOCATED_LENGTH) return 'The body is not JSON.';
  return `The body is not JSON: character ${findFault(text) + 1} is not allowed there.`;
}

/** Index of the first character that makes the text no JSON. Every text up to it could still have been completed. */
function findFault(text: string): number {
  let possible = 0;
  let impossible = text.length;
  while (impossible - possible > 1) {
    const middle = Math.floor((possible + impossible) / 2);
    if (couldGoOn(text.slice(0, middle))) possible = middle;
    else impossible = middle;
  }
  return impossible - 1;
}

function couldGoOn(start: string): boolean {
  try {
    JSON.parse(start);
    return true;
  } catch (error) {
    return isCutShort(error, start.length);
  }
}

/** V8 says only in words whether a text is wrong or merely ends too early; its words also repeat the text. */
function isCutShort(error: unknown, length: number): boolean {
  const { message } = error as SyntaxError;
  if (message.startsWith('Unexpected end')) return true;
  const position = /at position (\d+)/.exec(message)?.[1];
  return position !== undefined && Number(position) >= length;
}
