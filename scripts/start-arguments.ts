import { readFileSync } from 'node:fs';
import path from 'node:path';

/** Returns the Node arguments of `npm run start:prod`, with absolute paths. */
export function startArguments(): string[] {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const [, , ...words] = (scripts['start:prod'] as string).split(' ');
  return words.map((word) => (word.startsWith('--') ? word : path.resolve(word)));
}
