import { readFileSync } from 'node:fs';
import path from 'node:path';

/** What `npm run start:prod` gives to Node, to be run from the checkout in any folder. */
export function startArguments(): string[] {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const [, , ...words] = (scripts['start:prod'] as string).split(' ');
  return words.map((word) => (word.startsWith('--') ? word : path.resolve(word)));
}
