import { parseArgs, type ParseArgsConfig } from 'node:util';

/** Name, default, meaning. */
const NUMBERS = [
  ['rounds', 5, 'how many interleaved rounds'],
  ['seconds', 5, 'length of one measurement'],
  ['connections', 100, 'connections that always have a request under way; with --read the default is 8'],
  ['preload', 0, 'cases stored before, each with three node tasks and its notification'],
  ['overload-seconds', 20, 'length of the run with 1,000 connections'],
] as const;

/** Connections of --read: few, for it is also about how long an answer takes. */
const READERS = '8';

const HELP = `npm run bench -- [options]

Measures the door beside other ways to take a notification, on a PostgreSQL of its own that is removed at the end, and
writes what it found into a section of the report: one for each major version of Node.js and each --preload.

${NUMBERS.map(([name, fallback, meaning]) => `  --${name.padEnd(18)} ${meaning} (default: ${fallback})`).join('\n')}
  --only               contestants, e.g. a,e (default: all)
                         a bare Express, b do-nothing endpoint of this Nest app, c the ordinary way,
                         d one statement per request, e this door, f this door with nothing stored (with --preload)
  --read               measures the reading side instead: each question with --preload cases stored, with 5,000, and as a
                       bare statement, beside an endpoint that does nothing
  --questions          with --read: only questions whose name has this text in it
  --keep               folder for the PostgreSQL of the run; it is left there, and --read finds its cases in it again
  --waiting            measures the door while a thousand wait for cases instead, with a section of its own
  --outage             measures an outage of PostgreSQL instead, with a section of its own
  --set                setting of PostgreSQL, e.g. shared_buffers=1GB; may be repeated
  --output             the report (default: docs/performance.md)

A preloaded database is copied for each of c and d: with millions of cases leave them out (--only a,b,e,f).
`;

export interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
  readonly preload: number;
  readonly overloadSeconds: number;
  /** Letters of contestants; undefined: all. */
  readonly only: readonly string[] | undefined;
  readonly outage: boolean;
  readonly waiting: boolean;
  readonly read: boolean;
  readonly questions: string;
  /** Folder; undefined: one that is removed. */
  readonly keep: string | undefined;
  readonly postgresSettings: Readonly<Record<string, string>>;
  readonly output: string;
}

/**
 * Reads the command line.
 *
 * @returns the text to print if it asks for help
 * @throws Error telling what is wrong with it
 */
export function parseOptions(args: string[]): Options | { readonly help: string } {
  const options: NonNullable<ParseArgsConfig['options']> = {
    help: { type: 'boolean' },
    only: { type: 'string' },
    outage: { type: 'boolean', default: false },
    waiting: { type: 'boolean', default: false },
    read: { type: 'boolean', default: false },
    questions: { type: 'string', default: '' },
    keep: { type: 'string' },
    set: { type: 'string', multiple: true, default: [] },
    output: { type: 'string', default: 'docs/performance.md' },
  };
  for (const [name, fallback] of NUMBERS) options[name] = { type: 'string', default: String(fallback) };
  if (args.includes('--read')) options['connections'] = { type: 'string', default: READERS };
  const { values } = parseArgs({ args, options });
  if (values['help']) return { help: HELP };
  const number = (name: (typeof NUMBERS)[number][0]): number => readWhole(name, values[name] as string);
  return {
    rounds: number('rounds'),
    seconds: number('seconds'),
    connections: number('connections'),
    preload: number('preload'),
    overloadSeconds: number('overload-seconds'),
    only: values['only'] === undefined ? undefined : readLetters(values['only'] as string),
    outage: values['outage'] as boolean,
    waiting: values['waiting'] as boolean,
    read: values['read'] as boolean,
    questions: values['questions'] as string,
    keep: values['keep'] as string | undefined,
    postgresSettings: Object.fromEntries((values['set'] as string[]).map(readSetting)),
    output: values['output'] as string,
  };
}

function readWhole(name: string, text: string): number {
  const least = name === 'preload' ? 0 : 1;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least)) throw new Error(`--${name} must be a whole number from ${least}`);
  return value;
}

function readLetters(text: string): string[] {
  const letters = text.split(',');
  const unknown = letters.find((letter) => !/^[a-f]$/.test(letter));
  if (unknown !== undefined) throw new Error(`--only names ${unknown}, but the contestants are a to f`);
  return letters;
}

function readSetting(text: string): [string, string] {
  const [, name, value] = /^(\w+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new Error('--set must look like shared_buffers=1GB');
  if (['fsync', 'synchronous_commit'].includes(name))
    throw new Error(`--set ${name}: the figures are of durable writes`);
  return [name, value];
}
