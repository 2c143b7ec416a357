import { parseArgs, type ParseArgsConfig } from 'node:util';
import { type Client, connect, type Json, ProblemError } from './ops-client.js';
import { countBy, renderCounts, renderFields, renderTable } from './ops-report.js';

type Values = Readonly<Record<string, string | boolean | undefined>>;
interface Command {
  readonly takes: string;
  readonly does: string;
  readonly options: readonly string[];
  /** @returns whether everything that was asked for is done */
  run(client: Client, ids: readonly string[], values: Values, print: Print): Promise<boolean>;
}
/** Prints an answer as it came, or else as a person reads it. */
type Print = (answer: Json, toText: () => string) => void;

const FILTERS = ['reason', 'kind', 'received-from', 'received-to', 'workflow-id', 'case-id', 'callee-number'];

const OPTIONS: Readonly<Record<string, string>> = {
  reason: 'refused for this reason, such as not_json',
  kind: 'of this kind, such as workflow-list-completion',
  'received-from': 'received first at this time or later, such as 2026-01-31T00:00:00Z',
  'received-to': 'received first before this time',
  'workflow-id': 'of this workflow, as far as it could be read',
  'case-id': 'of this case, likewise',
  'callee-number': 'of this number, likewise',
  limit: 'how many at most, 1 to 1000 (default: 50)',
  cursor: 'where the former list ended',
  because: 'why they are discarded: it is recorded',
};
const FLAGS: Readonly<Record<string, string>> = {
  all: 'replay all that is there',
  'dry-run': 'tell what would be done, and do nothing',
  json: 'print the answers as they come, one on a line',
  help: 'print this',
};

const COMMANDS: Readonly<Record<string, Command>> = {
  list: { takes: '', does: 'what was refused, newest first', options: [...FILTERS, 'limit', 'cursor'], run: list },
  show: {
    takes: ' ID…',
    does: 'one with what is wrong in it, and its body if the key may see it',
    options: [],
    run: show,
  },
  replay: {
    takes: ' [ID…]',
    does: 'judges them again, and takes in what is valid now; by ID, by filter, or --all',
    options: [...FILTERS, 'all', 'dry-run'],
    run: replay,
  },
  discard: {
    takes: ' [ID…]',
    does: 'removes them for good; by ID or by filter, with --because',
    options: [...FILTERS, 'because', 'dry-run'],
    run: discard,
  },
};

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`ops: ${(error as Error).message}\n`);
  process.exitCode = error instanceof ProblemError ? 1 : 2;
});

async function main([subject, name, ...rest]: string[]): Promise<void> {
  if (subject === undefined || name === undefined || [subject, name, ...rest].includes('--help')) {
    process.stdout.write(renderHelp());
    return;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (subject !== 'quarantine' || !command) throw new Error('there is no such command; --help tells those there are');
  const { values, ids } = parseOptions(command, rest);
  const print: Print = (answer, toText) =>
    process.stdout.write(values['json'] === true ? `${JSON.stringify(answer)}\n` : toText());
  const client = await connect(values['url'] as string | undefined);
  process.exitCode = (await command.run(client, ids, values, print)) ? 0 : 1;
}

function parseOptions({ options: names }: Command, args: string[]): { values: Values; ids: string[] } {
  const options: NonNullable<ParseArgsConfig['options']> = { url: { type: 'string' }, json: { type: 'boolean' } };
  for (const name of names) options[name] = { type: name in FLAGS ? 'boolean' : 'string' };
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    return { values: values as Values, ids: positionals };
  } catch (error) {
    throw new Error(`${(error as Error).message.split(/\. |\n/)[0]}; --help tells the options`, { cause: error });
  }
}

function renderHelp(): string {
  const lines = (of: Readonly<Record<string, string>>): string =>
    Object.entries(of)
      .map(([name, meaning]) => line(`--${name}`, meaning))
      .join('');
  const commands = Object.entries(COMMANDS).map(([name, { takes, does }]) => line(`${name}${takes}`, does));
  return `npm run ops -- quarantine COMMAND [options]

Works the quarantine of a running service.

${commands.join('')}
${lines(OPTIONS)}
${lines(FLAGS)}${line('--url', 'base URL of the service (default: the one that uses DATA_DIR)')}
The API key is taken from AIRUDDER_API_KEY (environment or .env), else it is the one that the service on this machine made.
Ends with 0 if all was done, with 1 if something was not, with 2 if nothing was asked of the service.
`;
}

function line(name: string, meaning: string): string {
  return `  ${name.padEnd(18)} ${meaning}\n`;
}

async function list(client: Client, ids: readonly string[], values: Values, print: Print): Promise<boolean> {
  takeNone(ids);
  const query = { ...filterOf(values), ...pick(values, ['limit', 'cursor']) };
  const answer = await client.get('/v1/quarantine', query);
  print(answer, () => {
    const names = ['id', 'reason', 'count', 'first_received_at', 'workflow_id', 'case_id', 'callee_number'];
    const next = answer['next_cursor'] as string | null;
    return renderTable(answer['data'] as Json[], names) + (next === null ? '' : `There are more: --cursor ${next}\n`);
  });
  return true;
}

async function show(client: Client, ids: readonly string[], _values: Values, print: Print): Promise<boolean> {
  if (ids.length === 0) throw new Error('show takes the id of a refused body');
  for (const id of ids) {
    const answer = await client.get(pathOf(id));
    print(answer, () => `${renderFields(answer)}\n`);
  }
  return true;
}

async function replay(client: Client, ids: readonly string[], values: Values, print: Print): Promise<boolean> {
  const filter = filterOf(values);
  const isDryRun = values['dry-run'] === true;
  if (ids.length > 0) refuseBoth(values);
  else if (Object.keys(filter).length === 0 && values['all'] !== true)
    throw new Error('replay takes ids, a filter, or --all');
  const done: Json[] = [];
  const tell = (answer: Json, items: Json[]): void => {
    done.push(...items);
    print(answer, () => renderKept(items));
  };
  for (const id of ids) {
    const answer = await client.post(`${pathOf(id)}/replay`);
    tell(answer, [answer]);
  }
  if (ids.length === 0)
    for await (const page of pages(client, '/v1/quarantine/replay', { filter, dry_run: isDryRun }))
      tell(page, page['data'] as Json[]);
  const stay = done.filter(isKept).length;
  const reasons = countBy(done, 'reason');
  if (values['json'] !== true) {
    process.stdout.write(
      `${done.length - stay} ${isDryRun ? 'would be replayed' : 'replayed'}, ${stay} ${isDryRun ? 'would stay' : 'stay'}` +
        `${reasons.size > 0 ? ` (${renderCounts(reasons)})` : ''}\n`,
    );
  }
  return stay === 0;
}

async function discard(client: Client, ids: readonly string[], values: Values, print: Print): Promise<boolean> {
  const filter = filterOf(values);
  const reason = values['because'];
  const isDryRun = values['dry-run'] === true;
  if (typeof reason !== 'string') throw new Error('discard takes a reason: --because "…"');
  if (ids.length > 0) refuseBoth(values);
  else if (Object.keys(filter).length === 0) throw new Error('discard takes ids or a filter');
  let discarded = 0;
  for (const id of ids) {
    print(await client.post(`${pathOf(id)}/discard`, { reason }), () => '');
    discarded += 1;
  }
  if (ids.length === 0) {
    for await (const page of pages(client, '/v1/quarantine/discard', { filter, reason, dry_run: isDryRun })) {
      print(page, () => '');
      discarded += page['discarded'] as number;
    }
  }
  if (values['json'] !== true) process.stdout.write(`${discarded} ${isDryRun ? 'would be discarded' : 'discarded'}\n`);
  return true;
}

/** Calls again and again, each time from where the former call ended. */
async function* pages(client: Client, path: string, body: Json): AsyncGenerator<Json> {
  let cursor: unknown;
  do {
    const page = await client.post(path, { ...body, ...(cursor !== undefined && { cursor }) });
    yield page;
    cursor = page['next_cursor'];
  } while (cursor !== null);
}

function renderKept(items: readonly Json[]): string {
  const kept = items.filter(isKept);
  return kept.length === 0 ? '' : renderTable(kept, ['id', 'outcome', 'reason', 'errors']);
}

/** What is `erased` is gone: its person was. */
function isKept({ outcome }: Json): boolean {
  return outcome === 'refused' || outcome === 'held';
}

/** As the API names them. */
function filterOf(values: Values): Record<string, string> {
  const given = Object.entries(pick(values, FILTERS));
  return Object.fromEntries(given.map(([name, value]) => [name.replaceAll('-', '_'), value]));
}

function pick(values: Values, names: readonly string[]): Record<string, string> {
  const given = names.map((name) => [name, values[name]] as const);
  return Object.fromEntries(given.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function pathOf(id: string): string {
  return `/v1/quarantine/${encodeURIComponent(id)}`;
}

function takeNone(ids: readonly string[]): void {
  if (ids.length > 0) throw new Error('list takes no id: show does');
}

/** By id is by id: a filter beside it, or a dry run, would be ignored. */
function refuseBoth(values: Values): void {
  if ([...FILTERS, 'all', 'dry-run'].some((name) => values[name] !== undefined))
    throw new Error('give ids, or a filter with its options, but not both');
}
