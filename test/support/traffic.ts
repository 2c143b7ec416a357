import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { IS_LONG } from './chaos.js';
import { type Json, notification, webhookPath } from './service.js';

/** A sender waits so long before it sends the next one: the short tests leave the machine some air. */
const PAUSE_MS = IS_LONG ? 0 : 10;

/** And so long after an answer that is no acknowledgement. */
const LONG_PAUSE_MS = 40;

/** Longer than any promise here: what takes longer is counted as lost on the way. */
const PATIENCE_MS = 30_000;

/** One request. Its bytes differ from those of every other, also where its content is the same. */
export interface Sent {
  readonly body: string;
  readonly atMs: number;
  /** The `X-Request-Id` of its 200; none: it may or may not be stored. */
  id?: string;
  /** No answer came: the connection was refused, or broke. */
  isUnanswered?: boolean;
}

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** A request in two halves: the second is sent when this is settled. */
type Pause = Promise<unknown>;

/** What the n-th notification says. */
export type Compose = (n: number) => Json;

/** Every notification is of a case of its own. */
export const ofItsOwn: Compose = (n) => compose(`case ${n}`, n % 4);

/** Ten cases at a time get twenty notifications each, with four contents; then it is the turn of the next ten. */
export const overlapping: Compose = (n) => compose(`case ${Math.floor(n / 200)}-${n % 10}`, Math.floor(n / 3) % 4);

/** Three cases at a time, a hundred notifications each: whoever writes one meets somebody else. */
export const contested: Compose = (n) => compose(`case ${Math.floor(n / 300)}-${n % 3}`, Math.floor(n / 2) % 7);

function compose(case_id: string, length: number): Json {
  const rows = Array.from({ length }, (_, position) => ({
    nodetask_id: `node ${position}`,
    nodetask_name: `Call ${position}`,
    node_type: position % 2 === 0 ? 'call' : 'sms',
    ...(length !== 2 && { task_id: `task ${length}-${position}` }),
  }));
  return notification({ case_id, rows });
}

/**
 * Keeps a number of requests under way, to one or more replicas in turn, and remembers what was acknowledged. A 503 and a
 * connection that breaks acknowledge nothing, and are no fault; every other answer is one.
 */
export class Traffic {
  readonly sent: Sent[] = [];
  readonly faults: string[] = [];
  refused = 0;
  readonly #acknowledgedAtMs: number[] = [];
  readonly #agent = new Agent({ keepAlive: true });
  #senders: Promise<void>[] = [];
  #isStopping = false;

  constructor(
    private urls: readonly string[],
    private readonly composeNext: Compose = overlapping,
  ) {}

  /** From now on to these. */
  aim(...urls: string[]): void {
    this.urls = urls;
  }

  start(inFlight = 16): this {
    this.#isStopping = false;
    this.#senders = Array.from({ length: inFlight }, async () => this.sendUntilStopped());
    return this;
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#senders.splice(0));
  }

  /** Sends for a while. */
  async run(ms: number, inFlight?: number): Promise<void> {
    this.start(inFlight);
    await sleep(ms);
    await this.stop();
  }

  /** Sends one. @returns undefined if no answer came */
  async post(pause?: Pause): Promise<Answered | undefined> {
    const n = this.sent.length;
    const sent = this.note();
    try {
      const answered = await send(this.urls[n % this.urls.length] ?? '', sent.body, this.#agent, pause);
      this.take(sent, answered);
      return answered;
    } catch {
      sent.isUnanswered = true;
      return undefined;
    }
  }

  /** Takes a notification for sent, which somebody else sends. */
  note(): Sent {
    const n = this.sent.length;
    const sent = { body: JSON.stringify(this.composeNext(n)) + inWhiteSpace(n), atMs: performance.now() };
    this.sent.push(sent);
    return sent;
  }

  get acknowledged(): number {
    return this.#acknowledgedAtMs.length;
  }

  get unanswered(): readonly Sent[] {
    return this.sent.filter(({ isUnanswered }) => isUnanswered);
  }

  /** The longest time without an acknowledgement, from a moment (of `performance.now()`) on until the last one. */
  longestGapMs(sinceMs: number): number {
    let longest = 0;
    let last = sinceMs;
    for (const time of this.#acknowledgedAtMs.filter((each) => each > sinceMs)) {
      longest = Math.max(longest, time - last);
      last = time;
    }
    return Math.round(last === sinceMs ? Infinity : longest);
  }

  /** Forgets the connections. */
  close(): void {
    this.#agent.destroy();
  }

  private async sendUntilStopped(): Promise<void> {
    while (!this.#isStopping) {
      const answered = await this.post();
      await sleep(answered?.status === 200 ? PAUSE_MS : LONG_PAUSE_MS);
    }
  }

  private take(sent: Sent, { status, headers }: Answered): void {
    const id = headers['x-request-id'];
    if (typeof id !== 'string') this.faults.push(`${status} without X-Request-Id`);
    else if (status === 200) {
      sent.id = id;
      this.#acknowledgedAtMs.push(performance.now());
    } else if (status !== 503) this.faults.push(`answered with ${status}`);
    else if (headers['retry-after'] === undefined) this.faults.push('503 without Retry-After');
    else this.refused += 1;
  }
}

/** White space behind the JSON is no content, but is kept: it tells one request from all others. */
function inWhiteSpace(n: number): string {
  return n.toString(2).replaceAll('0', ' ').replaceAll('1', '\t');
}

async function send(url: string, body: string, agent: Agent, pause?: Pause): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const request = httpRequest(`${url}${webhookPath()}`, { method: 'POST', agent, headers, timeout: PATIENCE_MS });
    request.once('error', reject).once('timeout', () => request.destroy(new Error('no answer')));
    request.once('response', (response) => {
      response.once('error', reject).once('close', () => reject(new Error('cut short')));
      response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers }));
      response.resume();
    });
    const half = pause ? body.length >> 1 : 0;
    if (half > 0) request.write(body.slice(0, half));
    if (pause) pause.then(() => request.end(body.slice(half)), reject);
    else request.end(body);
  });
}
