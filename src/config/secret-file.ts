import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

/**
 * Reads the value of a setting from a file: one entry per line, or comma-separated as in the setting.
 *
 * @throws Error that names the problem and repeats no content
 */
export function readSecretFile(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable(error);
  }
  return entriesOf(text);
}

/** The asynchronous variant for the running service, so that a hung disk does not block the event loop. */
export async function readSecretFileAgain(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw unreadable(error);
  });
  return entriesOf(text);
}

function entriesOf(text: string): string {
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  const entries = lines.map((line) => line.trim()).filter((line) => line !== '');
  if (entries.length === 0) throw new Error('names a file with nothing in it');
  return entries.join(',');
}

function unreadable(error: unknown): Error {
  return new Error(`names a file that cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
}
