import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { PROVIDER_EXAMPLE } from '../src/ingest/notification/provider-example.js';

const readme = await readFile('README.md', 'utf8');

test.each(['SECURITY.md', 'docs/guarantees.md', 'docs/internals.md'])(
  'every promise in %s names tests that exist',
  async (document) => {
    const text = await readFile(document, 'utf8');
    const named = [...text.matchAll(/`(test\/[\w-]+\.test\.ts)`((?:,?\s+"[^"]+")*)/g)];
    expect(named.length).toBeGreaterThan(5);
    for (const [, file = '', titles = ''] of named) {
      const source = await readFile(file, 'utf8');
      for (const [, title = ''] of titles.matchAll(/"([^"]+)"/g)) {
        const parts = title.replaceAll(/\s+/g, ' ').split('…'); // stands for a parameter of the title
        const pattern = parts.map((part) => part.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)).join('.*');
        expect(new RegExp(pattern).test(source), `${file} has no test called "${title}"`).toBe(true);
      }
    }
  },
);

test("the README's example is the provider's", () => {
  const sent = /-d '(\{[^']+\})'/.exec(readme)?.[1] ?? '';
  expect(JSON.parse(sent)).toEqual(PROVIDER_EXAMPLE);
});

test('every endpoint of the document is in docs/api.md', async () => {
  const api = await readFile('docs/api.md', 'utf8'); // the README links to it
  const { paths } = JSON.parse(await readFile('openapi.json', 'utf8')) as { paths: object };
  for (const path of Object.keys(paths)) {
    expect(api).toContain(path.replace('{kind}', 'workflow-list-completion'));
  }
});

test('the versions of the internals that the code relies on are the installed ones', async () => {
  const named = [...(await readFile('docs/internals.md', 'utf8')).matchAll(/`([@\w/-]+)` (\d+\.\d+\.\d+[\w.-]*)/g)];
  const { packages } = JSON.parse(await readFile('package-lock.json', 'utf8')) as Lock;
  expect(named.length).toBeGreaterThan(10);
  for (const [, name = '', version] of named) expect(packages[`node_modules/${name}`]?.version, name).toBe(version);
});

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version: string } | undefined>>;
}
