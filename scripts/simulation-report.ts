import { FAULTS, type Post } from './simulated-notifications.js';

/** What came of one request: an answer, or the reason why there was none. */
export type Outcome = Answer | { readonly failure: string };

export interface Answer {
  readonly status: number;
  /** The `code` of a problem; of the body nothing else is ever shown. */
  readonly code: string | undefined;
  readonly isEmptyObject: boolean;
}

/** What has been sent and answered so far. */
export interface Tally {
  readonly startedAtMs: number;
  endedAtMs: number | undefined;
  readonly sent: Counts;
  readonly faults: Counts;
  readonly statuses: Counts;
  readonly unexpected: Counts;
  readonly failures: Counts;
  /** What the expected answers mean for the tables. */
  readonly gained: { first: number; repeat: number; changed: number; quarantined: number };
  /** Of each case the content that was acknowledged last. */
  readonly revisions: Map<number, number>;
  readonly latenciesMs: number[];
}

type Counts = Map<string, number>;

const english = new Intl.NumberFormat('en');
const format = (count: number): string => english.format(count);

export function startTally(): Tally {
  return {
    startedAtMs: performance.now(),
    endedAtMs: undefined,
    sent: new Map(['new', 'duplicate', 'changed', 'malformed'].map((sort) => [sort, 0])),
    faults: new Map(Object.keys(FAULTS).map((fault) => [fault, 0])),
    statuses: new Map([['200', 0]]),
    unexpected: new Map(),
    failures: new Map(),
    gained: { first: 0, repeat: 0, changed: 0, quarantined: 0 },
    revisions: new Map(),
    latenciesMs: [],
  };
}

export function countSent({ sent, faults }: Tally, { sort, fault }: Post): void {
  add(sent, sort);
  if (fault) add(faults, fault);
}

export function countOutcome(tally: Tally, post: Post, outcome: Outcome, latencyMs: number): void {
  if ('failure' in outcome) {
    add(tally.failures, outcome.failure);
    return;
  }
  tally.latenciesMs.push(latencyMs);
  add(tally.statuses, String(outcome.status));
  if (!isExpected(post, outcome)) add(tally.unexpected, `${post.fault ?? post.sort} → ${describeAnswer(outcome)}`);
  else tally.gained[post.fault ? 'quarantined' : foretellVerdict(tally, post)] += 1;
}

export function isAllAsExpected({ unexpected, failures }: Tally): boolean {
  return unexpected.size === 0 && failures.size === 0;
}

/** One line. */
export function renderProgress(tally: Tally, count: number): string {
  const failed = tally.failures.size > 0 ? [`no answer ${format(total(tally.failures))}`] : [];
  const sent = `sent ${format(total(tally.sent))} of ${format(count)}`;
  return [sent, renderCounts(tally.statuses), ...failed, renderPace(tally)].filter((part) => part !== '').join(' · ');
}

export function renderSummary(tally: Tally, count: number): string {
  const lines = [
    ['sent', renderCounts(tally.sent)],
    ['malformed', renderCounts(tally.faults)],
    ['answered', renderCounts(tally.statuses)],
    ['unexpected', renderCounts(tally.unexpected, `\n${' '.repeat(18)}`)],
    ['without answer', renderCounts(tally.failures)],
    ['latency in ms', renderLatency(tally.latenciesMs)],
    ['pace', renderPace(tally)],
  ] as const;
  const table = lines.map(([name, text]) => `  ${name.padEnd(16)}${text || 'none'}\n`).join('');
  return `\nSent ${format(total(tally.sent))} of ${format(count)} notifications\n\n${table}\n${renderGain(tally)}`;
}

function add(counts: Counts, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function isExpected({ fault }: Post, answer: Answer): boolean {
  if (!fault) return answer.status === 200 && answer.isEmptyObject;
  return answer.status === FAULTS[fault].status && answer.code === FAULTS[fault].code;
}

function describeAnswer({ status, code, isEmptyObject }: Answer): string {
  if (status === 200 && !isEmptyObject) return '200 without the body {}';
  return code === undefined ? String(status) : `${status} ${code}`;
}

/** A case's posts are sent one after the other, so the service compares each with the one acknowledged before it. */
function foretellVerdict({ revisions }: Tally, { caseOrdinal, revision }: Post): 'first' | 'repeat' | 'changed' {
  const known = revisions.get(caseOrdinal);
  revisions.set(caseOrdinal, revision);
  if (known === undefined) return 'first';
  return known === revision ? 'repeat' : 'changed';
}

/** This program does not know what earlier runs sent: what follows for the tables holds only with a condition. */
function renderGain({ gained, unexpected, failures }: Tally): string {
  const { first, repeat, changed, quarantined } = gained;
  const unclear = total(unexpected) + total(failures);
  const caveat = `  Not counted: what the ${format(unclear)} requests with another answer or none may have left behind.\n`;
  return `If this seed was never sent to this service before, the tables now hold more than before:

  cases           ${format(first)}
  deliveries      ${format(first + repeat + changed)} (${format(first)} first, ${format(repeat)} repeat, ${format(changed)} changed)
  quarantined     ${format(quarantined)}

  If it was: as many deliveries, with other verdicts, and at most as many cases and quarantined bodies, since what is
  there already is counted again and not stored again.
${unclear > 0 ? caveat : ''}`;
}

function total(counts: Counts): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

function renderCounts(counts: Counts, separator = ' · '): string {
  const present = [...counts].filter(([, count]) => count > 0);
  return present.map(([name, count]) => `${name}: ${format(count)}`).join(separator);
}

function renderPace(tally: Tally): string {
  const seconds = ((tally.endedAtMs ?? performance.now()) - tally.startedAtMs) / 1000;
  const perSecond = seconds > 0 ? total(tally.sent) / seconds : 0;
  return `${format(Math.round(perSecond * 10) / 10)} per second · ${seconds.toFixed(1)} s`;
}

function renderLatency(latenciesMs: readonly number[]): string {
  if (latenciesMs.length === 0) return '';
  const sorted = Float64Array.from(latenciesMs).sort();
  const quantile = (share: number): string => (sorted[Math.ceil(share * sorted.length) - 1] as number).toFixed(1);
  return `p50 ${quantile(0.5)} · p95 ${quantile(0.95)} · p99 ${quantile(0.99)} · max ${quantile(1)}`;
}
