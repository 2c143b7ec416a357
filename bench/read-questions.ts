import { plainToInstance } from 'class-transformer';
import { CaseQuery } from '../src/query/cases/case-filter.dto.js';
import { cursorScopeOf } from '../src/query/cases/cases.reader.js';
import { GET_CASE, listStatement } from '../src/query/cases/cases.sql.js';
import { LOOK_UP } from '../src/query/lookup/lookup.sql.js';
import { GET_NOTIFICATION } from '../src/query/notifications/notifications.sql.js';
import { GET_WORKFLOW, LIST_NODE_TASKS, LIST_WORKFLOWS } from '../src/query/workflows/workflows.sql.js';
import type { Place, Sample, SampleCase } from './read-sample.js';

/** One request. */
export interface Ask {
  readonly path: string;
  /** Sent as JSON by POST; absent: it is a GET. */
  readonly body?: unknown;
}

/** What the driver alone is asked for the same. */
export interface Bare {
  readonly text: string;
  /** Parameters of one execution each, in turn. */
  readonly values: readonly (readonly unknown[])[];
}

/** What the service answers to a GET, for questions that begin where another one ends. */
export type Get = (path: string) => Promise<unknown>;

/** One line of the report. */
export interface Question {
  readonly name: string;
  readonly asks: (sample: Sample, get: Get) => Promise<readonly Ask[]> | readonly Ask[];
  readonly bare?: (sample: Sample) => Promise<Bare> | Bare;
  /** How many are under way at once, where that is not for --connections to say. */
  readonly connections?: number;
}

const FEED_PAGES = 100;
export const DEPTH = 1_000_000;
export const ONE_CASE = 'one case by id';
export const NEWEST = 'the 50 newest cases';
export const DEEP = `50 cases behind the ${DEPTH.toLocaleString('en-US')} newest`;
export const FEED = 'feed: 1,000 completions behind a cursor, one page at a time';
export const LOOKUP = 'lookup of 1,000 cases, one at a time';

/** An endpoint more is a line more. */
export const QUESTIONS: readonly Question[] = [
  {
    name: ONE_CASE,
    asks: (sample) => paths(sample, ({ id }) => `/v1/cases/${id}`),
    bare: (sample) => bare(GET_CASE, sample, ({ id }) => [id]),
  },
  list(NEWEST, () => ({})),
  list(DEEP, () => ({}), DEPTH),
  list('50 cases of a workflow', ({ workflow_id }) => ({ workflow_id })),
  list('50 cases of a node task', ({ nodetask_id }) => ({ nodetask_id })),
  list('50 cases of a node_type', () => ({ node_type: 'sms' })),
  list('50 cases of a workflow and a node_type', ({ workflow_id }) => ({ workflow_id, node_type: 'sms' })),
  list('cases by case_id', ({ case_id }) => ({ case_id })),
  list('cases by callee_number', ({ callee_number }) => ({ callee_number })),
  list('cases by task_id', ({ task_id }) => ({ task_id })),
  {
    name: LOOKUP,
    connections: 1,
    asks: (sample) =>
      thousands(sample).map((cases) => ({
        path: '/v1/cases/lookup',
        body: { cases: cases.map(({ workflow_id, case_id }) => ({ workflow_id, case_id })) },
      })),
    bare: (sample) => ({
      text: LOOK_UP,
      values: thousands(sample).map((cases) => [
        cases.map(({ case_id }) => case_id),
        cases.map(({ workflow_id }) => workflow_id),
        cases.map(() => null),
        11,
      ]),
    }),
  },
  ...(['day', 'hour'] as const).map((interval) => ({
    name: `${DEPTH.toLocaleString('en-US')} completions counted by the ${interval}, one answer at a time`,
    connections: 1,
    asks: async (sample: Sample) => {
      const [from] = await sample.placeBehind(DEPTH);
      const query = new URLSearchParams({ interval, completed_from: new Date(from).toISOString() });
      return [{ path: `/v1/stats/completions?${query.toString()}` }];
    },
  })),
  { name: FEED, connections: 1, asks: async (_sample, get) => followFeed(get) },
  {
    name: 'one notification by id',
    asks: (sample) => paths(sample, ({ notification_id }) => `/v1/notifications/${notification_id}`),
    bare: (sample) => bare(GET_NOTIFICATION, sample, ({ notification_id }) => [notification_id]),
  },
  {
    name: 'one workflow with its counts',
    asks: (sample) => paths(sample, ({ workflow_id }) => `/v1/workflows/${workflow_id}`),
    bare: (sample) => bare(GET_WORKFLOW, sample, ({ workflow_id }) => [workflow_id]),
  },
  {
    name: 'node tasks of a workflow with their counts',
    asks: (sample) => paths(sample, ({ workflow_id }) => `/v1/workflows/${workflow_id}/node-tasks`),
    bare: (sample) => bare(LIST_NODE_TASKS, sample, ({ workflow_id }) => [workflow_id, '', 51]),
  },
  {
    name: 'workflows',
    asks: () => [{ path: '/v1/workflows' }],
    bare: () => ({ text: LIST_WORKFLOWS, values: [['infinity', 'infinity', '', 51]] }),
  },
];

/** A page of cases by some filters, the first one or the one behind so many cases. */
function list(name: string, filtersOf: (one: SampleCase) => Partial<CaseQuery>, behind?: number): Question {
  const placeIn = async (sample: Sample): Promise<Place | undefined> =>
    behind === undefined ? undefined : sample.placeBehind(behind);
  const queryOf = (one: SampleCase): CaseQuery => plainToInstance(CaseQuery, filtersOf(one));
  return {
    name,
    asks: async (sample) => {
      const place = await placeIn(sample);
      const asks: Ask[] = [];
      for (const one of sample.cases) {
        const cursor = place && { cursor: await sample.cursor(cursorScopeOf(queryOf(one)), place) };
        const parameters = new URLSearchParams({ ...filtersOf(one), ...cursor } as Record<string, string>);
        asks.push({ path: `/v1/cases?${parameters.toString()}` });
      }
      return asks;
    },
    bare: async (sample) => {
      const place = await placeIn(sample);
      const statements = sample.cases.map((one) => listStatement(queryOf(one), place));
      return { text: statements[0]?.text ?? '', values: statements.map(({ parameters }) => parameters) };
    },
  };
}

function paths({ cases }: Sample, pathOf: (one: SampleCase) => string): Ask[] {
  return cases.map((one) => ({ path: pathOf(one) }));
}

function bare(text: string, { cases }: Sample, valuesOf: (one: SampleCase) => unknown[]): Bare {
  return { text, values: cases.map(valuesOf) };
}

function thousands({ cases }: Sample): (readonly SampleCase[])[] {
  const count = Math.max(1, Math.floor(cases.length / 1000));
  return Array.from({ length: count }, (_, index) => cases.slice(index * 1000, (index + 1) * 1000));
}

/** The first pages of the feed, each by the cursor of the one before. */
async function followFeed(get: Get): Promise<Ask[]> {
  const asks: Ask[] = [];
  let cursor: string | undefined;
  while (asks.length < FEED_PAGES) {
    const path = `/v1/completions?limit=1000${cursor === undefined ? '&from=start' : `&cursor=${cursor}`}`;
    const page = (await get(path)) as { next_cursor: string; caught_up: boolean };
    asks.push({ path });
    if (page.caught_up) break;
    cursor = page.next_cursor;
  }
  return asks;
}
