const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Parses the bytes of a JSON text in UTF-8, with or without a byte order mark.
 *
 * @throws Error whose message names the fault and repeats nothing of the text
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
    // oxlint-disable-next-line preserve-caught-error -- the parser's message repeats the text, which may contain a number
    throw new Error(isTruncated(error, text) ? 'The body is not JSON: it ends too early.' : 'The body is not JSON.');
  }
}

/** V8 reports only in its message whether a text is wrong or truncated. */
function isTruncated(error: unknown, text: string): boolean {
  const { message } = error as SyntaxError;
  if (message.startsWith('Unexpected end')) return true;
  const position = /at position (\d+)/.exec(message)?.[1];
  return position !== undefined && Number(position) >= text.length;
}
