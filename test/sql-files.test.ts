import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const STATEMENT = /\bSELECT\b|\bINSERT INTO\b|\bUPDATE\s[^;]*?\sSET\b|\bDELETE FROM\b/;

test('SQL is only in *.sql.ts, migrations and src/database', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.sql.ts') && !file.startsWith(`database${path.sep}`))
    .map((file) => path.join('src', file));
  expect(files.length).toBeGreaterThan(100);
  expect(files.filter((file) => STATEMENT.test(readFileSync(file, 'utf8')))).toEqual([]);
});
