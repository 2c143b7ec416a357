import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type * as fc from 'fast-check';
import { validate as isUuid } from 'uuid';
import { PROBLEMS } from '../../src/http/problem/problem.js';
import { createDatabase, type TestDatabase } from './database.js';
import { fuzz } from './fuzz.js';
import { exchange, HEAD_END, type Leaving, parseAnswers, type Piece, requestBytes } from './fuzz-exchange.js';
import { type ServiceProcess, spawnService } from './process.js';
import { type Answer, send } from './service.js';

/** Texts that no error, no header and no log may repeat. The samples have the number everywhere. */
export const NUMBER = '6281999000111';
export const TOKEN = 'fuzzed-webhook-token';
export const KEY = 'fuzzed-api-key-secret';
const PLANTED = new RegExp([NUMBER, TOKEN, KEY].join('|'));

/** More than this a half of a run does not leave behind: the caches and pools are warm after the first half. */
const MAX_HEAP_GROWTH = 24 * 1024 * 1024;
/** Malloc gives back what it likes to: this finds what is lost outside the heap by the megabyte, and not before. */
const MAX_RESIDENT_GROWTH = 160 * 1024 * 1024;

/** What it logs when all is well. */
const IS_USUAL = /^\{"level":"(log|debug)"|"message":"notification rejected"/;

/** Lets a signal do what `node --expose-gc` lets a program do. */
const COLLECTS_ON_SIGNAL = `
  import v8 from 'node:v8';
  import vm from 'node:vm';
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc');
  process.on('SIGUSR2', () => { collect(); collect(); });`;

/** The service in a process of its own, to be sent anything. */
export class FuzzTarget {
  readonly #tally: Record<string, Record<string, number>> = {};

  private constructor(
    readonly url: string,
    readonly database: TestDatabase,
    private readonly service: ServiceProcess,
    private readonly directory: string,
  ) {}

  static async start(settings: Record<string, string> = {}): Promise<FuzzTarget> {
    const directory = await mkdtemp(path.join(tmpdir(), 'airudder-fuzz-'));
    const database = await createDatabase();
    const service = spawnService(
      {
        DATABASE_URL: database.url,
        WEBHOOK_TOKENS: TOKEN,
        RATE_LIMIT_PER_KEY: '0',
        RATE_LIMIT_PER_ADDRESS: '0',
        RATE_LIMIT_FAILURES: '0',
        API_KEYS: `fuzz:read+reveal+operate:${KEY}`,
        NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(COLLECTS_ON_SIGNAL)}`,
        ...settings,
      },
      directory,
    );
    return new FuzzTarget(await service.ready(), database, service, directory);
  }

  /**
   * Plays samples, and compares what memory is in use after a half and after the whole.
   *
   * @returns what is wrong with the service afterwards
   */
  async fuzz<T>(samples: fc.Arbitrary<T>, play: (sample: T) => Promise<void>): Promise<string[]> {
    let half = { heap: 0, resident: 0 };
    await fuzz(samples, play, async () => {
      half = await this.memory();
    });
    const whole = await this.memory();
    const growth = { heap: whole.heap - half.heap, resident: whole.resident - half.resident };
    const isGrowing = growth.heap > MAX_HEAP_GROWTH || growth.resident > MAX_RESIDENT_GROWTH;
    return [...this.complaints(), ...(isGrowing ? [`memory grows: ${JSON.stringify(growth)}`] : [])];
  }

  /** Sends one request, which is answered: well formed, without anything planted where it is an error. */
  async ask(
    kind: string,
    method: string,
    target: string,
    headers: readonly (readonly [string, string])[],
    body?: Buffer,
  ): Promise<Answer> {
    const [answer, ...others] = await this.exchange(kind, [[requestBytes(method, target, headers, body), 0]]);
    if (!answer || others.length > 0) throw new Error(`${others.length + (answer ? 1 : 0)} answers to one request`);
    return answer;
  }

  /** Sends bytes, and returns the answers, which are well formed, however many and few they are. */
  async exchange(kind: string, pieces: readonly Piece[], leaving?: Leaving): Promise<Answer[]> {
    const received = await exchange(this.url, pieces, leaving, isEventStream);
    const answers = parseAnswers(isEventStream(received) ? headOf(received) : received);
    for (const { status } of answers) this.count(kind, status);
    if (answers.length === 0) this.count(kind, 'none');
    const faults = answers.flatMap(faultsOf);
    if (faults.length > 0) throw new Error(faults.join('\n'));
    return answers;
  }

  /** Says what was done, and ends. The process has lived through it all. */
  async stop(scene: string): Promise<void> {
    process.stdout.write(`fuzz ${scene}: ${JSON.stringify(this.#tally).replaceAll('"', '')}\n`);
    const { status } = await send(`${this.url}/health/live`);
    this.service.kill('SIGTERM');
    const exitCode = await this.service.exitCode();
    await this.database.drop();
    await rm(this.directory, { recursive: true });
    if (status !== 200 || exitCode !== 0) throw new Error(`health ${status}, exit code ${exitCode}`);
  }

  /** Lines of the log that tell of a fault, or repeat what was planted. */
  private complaints(): string[] {
    const lines = this.service.output().trim().split('\n');
    return lines.filter((line) => !IS_USUAL.test(line) || PLANTED.test(line)).slice(0, 5);
  }

  private async memory(): Promise<{ heap: number; resident: number }> {
    this.service.kill('SIGUSR2');
    await sleep(300);
    const { text } = await send(`${this.url}/metrics`);
    const read = (name: string): number => Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1]);
    return { heap: read('nodejs_heap_size_used_bytes'), resident: read('process_resident_memory_bytes') };
  }

  private count(kind: string, outcome: number | string): void {
    const outcomes = (this.#tally[kind] ??= {});
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
}

/** One that has begun: of what never ends the head is enough. */
function isEventStream(received: Buffer): boolean {
  return received.includes('text/event-stream') && received.includes('retry: ');
}

function headOf(stream: Buffer): Buffer {
  return stream.subarray(0, stream.indexOf(HEAD_END, stream.indexOf('text/event-stream')) + HEAD_END.length);
}

/** What no answer may be, whatever was asked. */
function faultsOf({ status, headers, text, body }: Answer): string[] {
  const faults: string[] = [];
  const requestId = headers.get('x-request-id');
  if (status >= 500) faults.push(`it is ${status}`);
  if (!isUuid(requestId)) faults.push('it has no request id');
  if (status >= 400 && text !== '') {
    const known = PROBLEMS[body['code'] as keyof typeof PROBLEMS].status;
    if (known !== status || body['status'] !== status) faults.push(`its code is ${body['code']}`);
    if (body['request_id'] !== requestId) faults.push('its body has another request id');
    if (headers.get('content-type') !== 'application/problem+json; charset=utf-8') faults.push('it is no problem');
  }
  const told = status >= 400 ? text : '';
  if (status >= 300 && PLANTED.test(`${told} ${JSON.stringify([...headers])}`))
    faults.push('it repeats what was planted');
  return faults.map((fault) => `${fault}: ${status} ${JSON.stringify([...headers])} ${text.slice(0, 500)}`);
}
