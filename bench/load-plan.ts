/** What the process that sends is told. */
export interface LoadPlan {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** Names the cases of this measurement: each has its own, or its requests would be repeats. */
  readonly series: number;
  /** Requests per second, evenly spaced; absent: each connection sends again as soon as it is answered. */
  readonly perSecond?: number;
}

/** What the process that sends has seen. */
export interface LoadResult {
  readonly series: number;
  /** Ordinals of the cases whose request was sent, and not answered with a 200 before the end. */
  readonly notAcknowledged: readonly number[];
  readonly statuses: Readonly<Record<string, number>>;
  /** Connections that broke and requests that were not answered in time. */
  readonly errors: number;
  /** Answers with a 200 whose body was not `{}`. */
  readonly mismatches: number;
  readonly seconds: number;
  /** From the moment a request was sent. */
  readonly latencyMs: Percentiles;
  /** From the moment a request was due, whenever it was sent; only where they are evenly spaced. */
  readonly latencySinceDueMs: Percentiles | undefined;
  /** Date.now() at which `acknowledgedPerTick` begins. */
  readonly startedAtMs: number;
  readonly acknowledgedPerTick: readonly number[];
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

export const TICK_MS = 10;
/** As a message to the process that sends: it ends early. */
export const STOP = 'stop';
