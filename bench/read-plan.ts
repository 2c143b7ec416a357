import type { Percentiles } from './load-plan.js';
import type { Ask, Bare } from './read-questions.js';

/** What a process that asks is told, in a file: it may be long. */
export interface ReadPlan {
  readonly connections: number;
  readonly seconds: number;
  readonly from: Service | Database;
}

/** Over HTTP. */
export interface Service {
  readonly url: string;
  readonly key: string;
  readonly asks: readonly Ask[];
}

/** By the driver alone. */
export interface Database {
  readonly databaseUrl: string;
  readonly bare: Bare;
}

/** What it has seen. */
export interface ReadResult {
  readonly perSecond: number;
  readonly latencyMs: Percentiles;
}
