import { startLoad } from './children.js';
import type { Contestant } from './contestants.js';
import type { LoadPlan, LoadResult } from './load-plan.js';
import { stamper, TEMPLATE, WORKFLOWS } from './stamped-request.js';

let lastSeries = 0;

/** Each measurement has cases of its own. */
export function nextSeries(): number {
  lastSeries += 1;
  return lastSeries;
}

/**
 * Sends to a contestant, and enters into its account what it acknowledged.
 *
 * @throws Error if any answer was not `200 {}`
 */
export async function measure(contestant: Contestant, plan: Omit<LoadPlan, 'url' | 'series'>): Promise<LoadResult> {
  const result = await startLoad({ ...plan, url: contestant.url, series: nextSeries() }).result;
  enter(contestant, result);
  const { 200: acknowledged = 0, ...others } = result.statuses;
  if (acknowledged === 0 || Object.keys(others).length > 0 || result.errors > 0 || result.mismatches > 0) {
    const { statuses, errors, mismatches } = result;
    throw new Error(
      `${contestant.label} did not answer all with 200 {}: ${JSON.stringify({ statuses, errors, mismatches })}`,
    );
  }
  return result;
}

/** Enters what came of a measurement into the contestant's account. */
export function enter({ account }: Contestant, { series, statuses, notAcknowledged }: LoadResult): void {
  account.entries.push({ series, acknowledged: statuses['200'] ?? 0, notAcknowledged });
}

export function perSecond({ statuses, seconds }: LoadResult): number {
  return (statuses['200'] ?? 0) / seconds;
}

/** One notification of each workflow, one after the other: the race for who names it first is not what is measured. */
export async function nameWorkflows(contestant: Contestant): Promise<void> {
  const body = Buffer.from(TEMPLATE);
  const series = nextSeries();
  const stamp = stamper(body, series);
  for (let ordinal = 0; ordinal < WORKFLOWS; ordinal += 1) {
    stamp(ordinal);
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(contestant.url, { method: 'POST', headers, body });
    if (response.status !== 200)
      throw new Error(`${contestant.label} answered ${response.status}: ${await response.text()}`);
    await response.text();
  }
  contestant.account.entries.push({ series, acknowledged: WORKFLOWS, notAcknowledged: [] });
}
