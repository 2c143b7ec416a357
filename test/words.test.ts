import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/** Words and openings that the style guide of CONTRIBUTING.md replaces. */
const REPLACED = [
  /\b(whoever|nobody|somebody|anybody|lest|anew|in its stead|as good as|at hand|of ours|just now)\b/i,
  /\bmend(s|ed)?\b/i,
  /(\/\/|\*) (What|Who|Whoever|Of|That|So) /,
];

/** The operating system's unprivileged user. */
const USER_NOBODY = /`nobody`|\/\/ nobody, on every Linux/;

test('sources and the API use the words of the style guide', () => {
  const listing = execFileSync('git', ['ls-files', 'src', 'scripts', 'README.md', 'openapi.json'], {
    encoding: 'utf8',
  });
  const found = listing
    .trim()
    .split('\n')
    .flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .flatMap((line, index) => (REPLACED.some((word) => word.test(line)) ? [`${file}:${index + 1}: ${line}`] : [])),
    );
  expect(found.filter((line) => !USER_NOBODY.test(line))).toEqual([]);
});
