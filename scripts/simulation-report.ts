import { FAULTS, type Post } from './simulated-notifications.js';

/** Outcome of one request: an answer, or the reason for its absence. */
export type Outcome = Answer | { readonly failure: string };

export interface Answer {
  readonly status: number;
  /** The `code` of a problem; nothing else of the body is printed. */
  readonly code: string | undefined;
  readonly isEmptyObject: boolean;
}

/** Counts of requests and responses so far. */
export interface Tally {
  readonly startedAtMs: number;
  endedAtMs: number | undefined;
  readonly sent: Counts;
  readonly faults: Counts;
  readonly statuses: Counts;
  readonly unexpected: Counts;
  readonly failures: Counts;
  /** Rows that the expected answers add to the tables. */
  readonly gained: { first: number; repeat: number; changed: number; quarantined: number };
  /** Last acknowledged revision of each case. */
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
  else tally.gained[post.fault ? 'quarantined' : predictVerdict(tally, post)] += 1;
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

/** Predicts the verdict: the posts of a case are sent in order, so the service compares each with the previous one. */
function predictVerdict({ revisions }: Tally, { caseOrdinal, revision }: Post): 'first' | 'repeat' | 'changed' {
  const previous = revisions.get(caseOrdinal);
  revisions.set(caseOrdinal, revision);
  if (previous === undefined) return 'first';
  return previous === revision ? 'repeat' : 'changed';
}

/** Renders the expected growth of the tables. It is conditional, because earlier runs are unknown. */
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
