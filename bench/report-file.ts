import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

const HEADING = `# Performance

Written by \`npm run bench\` between its marks; what stands outside of them is kept.
`;

const END = '<!-- /bench -->';

/**
 * Puts a section into the report in the place of its predecessor of the same name, or at the end. All else stays as it is.
 *
 * @param name what the section was measured with, for example `node=24 preload=0`
 */
export async function writeSection(file: string, name: string, text: string): Promise<void> {
  const before = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return HEADING;
    throw error;
  });
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, replaceSection(before, `<!-- bench ${name} -->`, text));
}

function replaceSection(before: string, begin: string, text: string): string {
  const section = `${begin}\n\n${text.trim()}\n\n${END}`;
  const beginAt = before.indexOf(begin);
  if (beginAt === -1) return `${before.trimEnd()}\n\n${section}\n`;
  const endAt = before.indexOf(END, beginAt);
  if (endAt === -1) throw new Error(`the report has ${begin} without ${END}`);
  return before.slice(0, beginAt) + section + before.slice(endAt + END.length);
}
