import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';

/** One change of the code that breaks a promise, and the tests of which at least one must fail. */
export interface Mutation {
  /** The table's file name without its extension. */
  readonly table: string;
  /** The broken behaviour. */
  readonly breaks: string;
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** A test file, and a part of the test's name. */
  readonly tests: Readonly<Record<string, string>>;
}

const DIRECTORY = import.meta.dirname;

export function readMutations(): Mutation[] {
  const tables = readdirSync(DIRECTORY).filter((file) => file.endsWith('.yaml'));
  return tables.flatMap((file) => {
    const rows = parse(readFileSync(path.join(DIRECTORY, file), 'utf8')) as Omit<Mutation, 'table'>[];
    return rows.map((row) => ({ table: path.parse(file).name, ...row }));
  });
}
