import { parseArgs, type ParseArgsConfig } from 'node:util';
import { type Client, connect, type Json, ProblemError } from './ops-client.js';
import { countBy, renderCounts, renderFields, renderTable } from './ops-report.js';

type Values = Readonly<Record<string, string | boolean | undefined>>;
interface Command {
  readonly parameters: string;
  readonly description: string;
  readonly options: readonly string[];
  /** @returns whether every requested action succeeded */
  run(client: Client, ids: readonly string[], values: Values, print: Print): Promise<boolean>;
}
/** Prints an answer as JSON with --json, else as text for people. */
type Print = (answer: Json, toText: () => string) => void;

const FILTERS = ['reason', 'kind', 'received-from', 'received-to', 'workflow-id', 'case-id', 'callee-number'];

const OPTIONS: Readonly<Record<string, string>> = {
  reason: 'rejected for this reason, such as not_json',
  kind: 'of this kind, such as workflow-list-completion',
  'received-from': 'first received at this time or later, such as 2026-01-31T00:00:00Z',
  'received-to': 'first received before this time',
  'workflow-id': 'of this workflow, if the body was readable',
  'case-id': 'of this case, likewise',
  'callee-number': 'of this number, likewise',
  limit: 'maximum number, 1 to 1000 (default: 50)',
  cursor: 'position from the previous page',
  because: 'reason for discarding, which is recorded',
};
const FLAGS: Readonly<Record<string, string>> = {
  all: 'replay the whole quarantine',
  'dry-run': 'show the effect without applying it',
  json: 'print the JSON answers, one per line',
  help: 'print this',
};

const COMMANDS: Readonly<Record<string, Command>> = {
  list: {
    parameters: '',
    description: 'lists quarantined bodies, newest first',
    options: [...FILTERS, 'limit', 'cursor'],
    run: list,
  },
  show: {
    parameters: ' ID…',
    description: 'shows one with its errors, and its body if the key has the scope reveal',
    options: [],
    run: show,
  },
  replay: {
    parameters: ' [ID…]',
    description: 'validates them again and stores the valid ones; by ID, by filter, or --all',
    options: [...FILTERS, 'all', 'dry-run'],
    run: replay,
  },
  discard: {
    parameters: ' [ID…]',
    description: 'removes them permanently; by ID or by filter, with --because',
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
  if (subject !== 'quarantine' || !command) throw new Error('unknown command; --help lists the commands');
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
    throw new Error(`${(error as Error).message.split(/\. |\n/)[0]}; --help lists the options`, { cause: error });
  }
}

function renderHelp(): string {
  const lines = (of: Readonly<Record<string, string>>): string =>
    Object.entries(of)
      .map(([name, meaning]) => line(`--${name}`, meaning))
      .join('');
  const commands = Object.entries(COMMANDS).map(([name, { parameters, description }]) =>
    line(`${name}${parameters}`, description),
  );
  return `npm run ops -- quarantine COMMAND [options]

Manages the quarantine of a running service.

${commands.join('')}
${lines(OPTIONS)}
${lines(FLAGS)}${line('--url', 'base URL of the service (default: the one that uses DATA_DIR)')}
The API key comes from AIRUDDER_API_KEY (environment or .env), else from the data folder of the service on this machine.
Exit code: 0 if every action succeeded, 1 if one failed, 2 if no request was sent.
`;
}

function line(name: string, meaning: string): string {
  return `  ${name.padEnd(18)} ${meaning}\n`;
}

async function list(client: Client, ids: readonly string[], values: Values, print: Print): Promise<boolean> {
  rejectIds(ids);
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
  if (ids.length > 0) rejectFilters(values);
  else if (Object.keys(filter).length === 0 && values['all'] !== true)
    throw new Error('replay takes ids, a filter, or --all');
  const done: Json[] = [];
  const report = (answer: Json, items: Json[]): void => {
    done.push(...items);
    print(answer, () => renderKept(items));
  };
  for (const id of ids) {
    const answer = await client.post(`${pathOf(id)}/replay`);
    report(answer, [answer]);
  }
  if (ids.length === 0)
    for await (const page of pages(client, '/v1/quarantine/replay', { filter, dry_run: isDryRun }))
      report(page, page['data'] as Json[]);
  const remaining = done.filter(isKept).length;
  const reasons = countBy(done, 'reason');
  if (values['json'] !== true) {
    process.stdout.write(
      `${done.length - remaining} ${isDryRun ? 'would be replayed' : 'replayed'}, ${remaining} ${isDryRun ? 'would stay' : 'stay'}` +
        `${reasons.size > 0 ? ` (${renderCounts(reasons)})` : ''}\n`,
    );
  }
  return remaining === 0;
}

async function discard(client: Client, ids: readonly string[], values: Values, print: Print): Promise<boolean> {
  const filter = filterOf(values);
  const reason = values['because'];
  const isDryRun = values['dry-run'] === true;
  if (typeof reason !== 'string') throw new Error('discard takes a reason: --because "…"');
  if (ids.length > 0) rejectFilters(values);
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

/** Yields all pages; each call continues at the cursor of the previous one. */
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

/** True if the body stays in quarantine. An `erased` one is removed. */
function isKept({ outcome }: Json): boolean {
  return outcome === 'refused' || outcome === 'held';
}

/** Returns the filters under the names of the API. */
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

function rejectIds(ids: readonly string[]): void {
  if (ids.length > 0) throw new Error('list takes no id: show does');
}

/** Rejects filters and a dry run together with ids, because they would be ignored. */
function rejectFilters(values: Values): void {
  if ([...FILTERS, 'all', 'dry-run'].some((name) => values[name] !== undefined))
    throw new Error('give ids, or a filter with its options, but not both');
}
