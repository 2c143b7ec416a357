import { type LoadResult, type Percentiles, TICK_MS } from './load-plan.js';
import { percentilesOf } from './statistics.js';

/** Counts what the process that sends is answered. */
export class Tally {
  readonly #startedAtMs = Date.now();
  readonly #startedAt = performance.now();
  readonly #statuses: Record<string, number> = {};
  readonly #latenciesMs: number[] = [];
  readonly #latenciesSinceDueMs: number[] = [];
  readonly #acknowledgedPerTick: number[] = [];
  readonly #notAcknowledged = new Set<number>();
  errors = 0;
  mismatches = 0;

  constructor(private readonly series: number) {}

  countSent(ordinal: number): void {
    this.#notAcknowledged.add(ordinal);
  }

  /** @param sinceDueMs of a request that had its time */
  countAnswer(ordinal: number, status: number, latencyMs: number, sinceDueMs?: number): void {
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    this.#latenciesMs.push(latencyMs);
    if (sinceDueMs !== undefined) this.#latenciesSinceDueMs.push(sinceDueMs);
    if (status !== 200) return;
    this.#notAcknowledged.delete(ordinal);
    const tick = Math.floor((performance.now() - this.#startedAt) / TICK_MS);
    this.#acknowledgedPerTick[tick] = (this.#acknowledgedPerTick[tick] ?? 0) + 1;
  }

  result(): LoadResult {
    const latencySinceDueMs: Percentiles | undefined =
      this.#latenciesSinceDueMs.length > 0 ? percentilesOf(this.#latenciesSinceDueMs) : undefined;
    return {
      series: this.series,
      notAcknowledged: [...this.#notAcknowledged],
      statuses: this.#statuses,
      errors: this.errors,
      mismatches: this.mismatches,
      seconds: (performance.now() - this.#startedAt) / 1000,
      latencyMs: percentilesOf(this.#latenciesMs),
      latencySinceDueMs,
      startedAtMs: this.#startedAtMs,
      acknowledgedPerTick: Array.from(this.#acknowledgedPerTick, (count?: number) => count ?? 0),
    };
  }
}
