import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

/**
 * Reads what a setting would say from a file: one entry a line, or comma separated as in the setting itself.
 *
 * @throws Error that says what is wrong with the file, and nothing of what is in it
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

/** The same while the service runs: a disk that hangs must not hold up everything. */
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
