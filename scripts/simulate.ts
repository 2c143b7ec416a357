import { randomInt } from 'node:crypto';
import http from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { urlToHttpOptions } from 'node:url';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { isSecretDigest } from '../src/config/secret-digest.js';
import { GENERATED_WEBHOOK_TOKEN, readSecret } from '../src/config/generated-secrets.js';
import { parseConfig, readEnvironment } from '../src/config/config.js';
import { findServiceUrl, THIS_MACHINE } from './local-service.js';
import { type Mixture, type Post, simulateNotifications } from './simulated-notifications.js';
import {
  type Answer,
  countOutcome,
  countSent,
  isAllAsExpected,
  type Outcome,
  renderProgress,
  renderSummary,
  startTally,
  type Tally,
} from './simulation-report.js';

/** Name, default, meaning. */
const OPTIONS = [
  ['count', '1000', 'number of notifications to send'],
  ['rate', '200', 'notifications per second; 0: as fast as the service answers'],
  ['concurrency', '50', 'maximum number of concurrent requests'],
  ['workflows', '5', 'number of workflows of the cases'],
  ['duplicates', '0.05', 'share, 0 to 1, that repeats an earlier notification byte for byte'],
  ['changes', '0.02', 'share that changes the content of an earlier case'],
  ['malformed', '0.01', 'share with a fault that the service must reject'],
  ['seed', 'random', 'equal seed, workflows and shares: the same bodies in the same order'],
  ['url', 'found', 'base URL or whole webhook URL; found: of the service that uses DATA_DIR'],
] as const;
type Name = (typeof OPTIONS)[number][0];
type Texts = Readonly<Record<Name, string>>;

interface Plan extends Mixture {
  readonly count: number;
  /** 0: no limit. */
  readonly perSecond: number;
  readonly concurrency: number;
  readonly url: string | undefined;
}

const MAX_SEED = 2 ** 32 - 1;
const ANSWER_TIMEOUT_MS = 30_000;
/** Time after Ctrl-C for the responses to requests in progress. */
const STOP_TIMEOUT_MS = 5_000;
const LONGEST_SLEEP_MS = 100;

main().catch((error: unknown) => {
  process.stderr.write(`simulate: ${(error as Error).message}\n`);
  process.exitCode = 2;
});

async function main(): Promise<void> {
  const texts = parseOptions(process.argv.slice(2));
  if (texts === 'help') {
    process.stdout.write(renderHelp());
    return;
  }
  const plan = readPlan(texts);
  const webhook = await findWebhook(plan.url);
  process.stdout.write(`Sending to ${webhook.origin} with seed ${plan.seed}\n`);
  const tally = startTally();
  const endProgress = showProgress(tally, plan.count);
  await send(plan, webhook, tally).finally(endProgress);
  process.stdout.write(renderSummary(tally, plan.count));
  process.exitCode = isAllAsExpected(tally) ? 0 : 1;
}

function parseOptions(args: string[]): Texts | 'help' {
  const options: NonNullable<ParseArgsConfig['options']> = { help: { type: 'boolean' } };
  for (const [name, fallback] of OPTIONS) options[name] = { type: 'string', default: fallback };
  try {
    const { values } = parseArgs({ args, options });
    return values['help'] ? 'help' : (values as Texts);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // A stray argument may be a webhook URL that lacks its --url: the token in it is not repeated.
    const isStray = code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL';
    const problem = isStray ? 'There is an argument without an option' : message.split(/\.?(\n|$)/)[0];
    throw new Error(`${problem}; --help lists the options`, { cause: error });
  }
}

function renderHelp(): string {
  const lines = OPTIONS.map(
    ([name, fallback, meaning]) => `  --${name.padEnd(12)} ${meaning} (default: ${fallback})\n`,
  );
  return `npm run simulate -- [options]

Sends notifications like AI Rudder to a service on this machine, and reports the responses.

${lines.join('')}
Exit code: 0 if every response was the expected one, 1 if not, 2 if no notification was sent.
`;
}

function readPlan(texts: Texts): Plan {
  const plan = {
    count: readWhole(texts, 'count', 1, 10_000_000),
    perSecond: readDecimal(texts, 'rate', 1_000_000),
    concurrency: readWhole(texts, 'concurrency', 1, 10_000),
    workflows: readWhole(texts, 'workflows', 1, 100_000),
    duplicates: readDecimal(texts, 'duplicates', 1),
    changes: readDecimal(texts, 'changes', 1),
    malformed: readDecimal(texts, 'malformed', 1),
    seed: texts.seed === 'random' ? randomInt(MAX_SEED + 1) : readWhole(texts, 'seed', 0, MAX_SEED),
    url: texts.url === 'found' ? undefined : texts.url,
  };
  if (plan.duplicates + plan.changes + plan.malformed > 1) {
    throw new Error('--duplicates, --changes and --malformed together must not exceed 1');
  }
  return plan;
}

function readWhole(texts: Texts, name: Name, min: number, max: number): number {
  const value = /^\d{1,15}$/.test(texts[name]) ? Number(texts[name]) : Number.NaN;
  if (!(value >= min && value <= max)) throw new Error(`--${name} must be a whole number from ${min} to ${max}`);
  return value;
}

function readDecimal(texts: Texts, name: Name, max: number): number {
  const value = /^\d{0,15}\.?\d{1,15}$/.test(texts[name]) ? Number(texts[name]) : Number.NaN;
  if (!(value <= max)) throw new Error(`--${name} must be a number from 0 to ${max}`);
  return value;
}

/** Returns the webhook URL. It contains the token, so only its origin may be printed. */
async function findWebhook(given: string | undefined): Promise<URL> {
  const url = new URL(given === undefined ? await findServiceUrl() : checkUrl(given));
  if (!THIS_MACHINE.includes(url.hostname)) {
    throw new Error(`sends to this machine only (${THIS_MACHINE.join(', ')}), not to ${url.hostname}`);
  }
  if (url.pathname === '/') url.pathname = `/webhooks/airudder/${await findToken()}/workflow-list-completion`;
  return url;
}

function checkUrl(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url?.protocol !== 'http:' || !/^\/(webhooks\/airudder\/[^/]+\/workflow-list-completion)?$/.test(url.pathname)) {
    throw new Error('--url must be like http://127.0.0.1:3000, or the webhook URL that the service shows at its start');
  }
  return given;
}

/** Finds the token like the service: a generated one applies only if none is configured. */
async function findToken(): Promise<string> {
  const { webhookTokens, dataDir } = parseConfig(readEnvironment());
  const given = webhookTokens.find((token) => !isSecretDigest(token));
  if (given !== undefined) return given;
  const generated = webhookTokens.length === 0 ? await readSecret(dataDir, GENERATED_WEBHOOK_TOKEN) : undefined;
  if (generated !== undefined) return generated;
  throw new Error(`no webhook token in WEBHOOK_TOKENS or ${dataDir}: give the whole webhook URL as --url`);
}

/** Prints progress: on a terminal one line that is overwritten, elsewhere a line every two seconds. */
function showProgress(tally: Tally, count: number): () => void {
  const { stderr } = process;
  const show = (): void => {
    const line = renderProgress(tally, count);
    stderr.write(stderr.isTTY ? `\r${line.slice(0, stderr.columns - 1)}\x1b[K` : `${line}\n`);
  };
  const timer = setInterval(show, stderr.isTTY ? 200 : 2_000);
  return () => {
    clearInterval(timer);
    if (stderr.isTTY) stderr.write('\r\x1b[K');
  };
}

/** Sends until the count is reached or Ctrl-C is pressed. Posts are begun in the order of the stream. */
async function send(plan: Plan, webhook: URL, tally: Tally): Promise<void> {
  const agent = new http.Agent({ keepAlive: true });
  const request = { ...urlToHttpOptions(webhook), agent, method: 'POST', timeout: ANSWER_TIMEOUT_MS };
  const stopping = stopOnInterrupt(agent);
  const waitForTurn = keepPace(plan, tally.startedAtMs, stopping);
  const posts = simulateNotifications(plan);
  const lastOfCase = new Map<number, Promise<void>>();
  const sendOne = async (post: Post): Promise<void> => {
    if (stopping.aborted) return;
    countSent(tally, post);
    const sentAtMs = performance.now();
    const outcome = await exchange(request, post);
    countOutcome(tally, post, outcome, performance.now() - sentAtMs);
  };
  const work = async (): Promise<void> => {
    while (await waitForTurn()) await afterEarlier(lastOfCase, posts.next().value, sendOne);
  };
  await Promise.all(Array.from({ length: plan.concurrency }, work));
  tally.endedAtMs = performance.now();
  agent.destroy();
}

function stopOnInterrupt(agent: http.Agent): AbortSignal {
  const stopping = new AbortController();
  process.on('SIGINT', () => {
    if (stopping.signal.aborted) return; // npm forwards a Ctrl-C that the terminal sends to this process too
    stopping.abort();
    setTimeout(() => agent.destroy(), STOP_TIMEOUT_MS).unref();
  });
  return stopping.signal;
}

/** Waits for the time of the next post; false after the last one. A slow service does not delay later posts. */
function keepPace(plan: Plan, startedAtMs: number, stopping: AbortSignal): () => Promise<boolean> {
  const intervalMs = plan.perSecond > 0 ? 1000 / plan.perSecond : 0;
  let turns = 0;
  return async () => {
    if (turns === plan.count) return false;
    const dueAtMs = startedAtMs + turns * intervalMs;
    turns += 1;
    while (!stopping.aborted && performance.now() < dueAtMs) {
      await sleep(Math.min(dueAtMs - performance.now(), LONGEST_SLEEP_MS));
    }
    return !stopping.aborted;
  };
}

/** Sends a post after the earlier posts of its case are answered, because its verdict depends on them. */
async function afterEarlier(
  lastOfCase: Map<number, Promise<void>>,
  post: Post,
  sendOne: (post: Post) => Promise<void>,
): Promise<void> {
  const earlier = lastOfCase.get(post.caseOrdinal);
  const done = earlier ? earlier.then(async () => sendOne(post)) : sendOne(post);
  lastOfCase.set(post.caseOrdinal, done);
  await done;
  if (lastOfCase.get(post.caseOrdinal) === done) lastOfCase.delete(post.caseOrdinal);
}

async function exchange(options: http.RequestOptions, { body, contentType }: Post): Promise<Outcome> {
  return await new Promise((resolve) => {
    const fail = (error: NodeJS.ErrnoException): void => resolve({ failure: error.code ?? error.message });
    const headers = { 'Content-Type': contentType, 'User-Agent': 'Airudder' };
    const request = http.request({ ...options, headers }, (response) => {
      text(response).then((answered) => resolve(readAnswer(response.statusCode ?? 0, answered)), fail);
    });
    request.on('error', fail);
    request.on('timeout', () => request.destroy(new Error(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`)));
    request.end(body);
  });
}

function readAnswer(status: number, body: string): Answer {
  const code = /"code":"(\w{1,40})"/.exec(body)?.[1];
  return { status, code: status === 200 ? undefined : code, isEmptyObject: body === '{}' };
}
