import { plainToInstance } from 'class-transformer';
import { escapeLiteral } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CaseFilter, CaseQuery } from '../src/query/cases/case-filter.dto.js';
import { GET_CASE, listStatement } from '../src/query/cases/cases.sql.js';
import { READ_COMPLETIONS, READ_END } from '../src/query/feed/feed.sql.js';
import { LOOK_UP } from '../src/query/lookup/lookup.sql.js';
import { GET_NOTIFICATION, LIST_NOTIFICATIONS_OF_CASE } from '../src/query/notifications/notifications.sql.js';
import { LIST_REVEALS, LIST_REVEALS_OF_KEY } from '../src/operator/audit/audit.sql.js';
import {
  LOCK_CASES_OF_CASE,
  LOCK_CASES_OF_NUMBER,
  READ_QUARANTINE,
  REMOVE_CASES,
} from '../src/operator/erasure/erasure.sql.js';
import {
  LOCK_OLD_CASES,
  MOVE_FEED_START,
  READ_OLDEST,
  REMOVE_BODIES,
  REMOVE_NOTIFICATIONS,
  REMOVE_QUARANTINED,
  REMOVE_REVEALS,
  SCAN_CASES,
} from '../src/operator/retention/retention.sql.js';
import type { Statement } from '../src/database/connection.js';
import { READ_COMMITTED_EVENTS } from '../src/query/waiting/commit-watcher.sql.js';
import type { QuarantineFilter } from '../src/operator/quarantine/quarantine.dto.js';
import {
  batchStatement,
  findStatement,
  LIST_ACTIONS,
  listStatement as listQuarantine,
} from '../src/operator/quarantine/quarantine.sql.js';
import { EXPORT_SETTINGS, exportStatement, NAME_NODE_TASKS, NAME_WORKFLOWS } from '../src/query/export/export.sql.js';
import { STATS_SETTINGS } from '../src/query/stats/stats.reader.js';
import { LIST_NODE_TYPES, statsStatement } from '../src/query/stats/stats.sql.js';
import { GET_WORKFLOW, LIST_NODE_TASKS, LIST_WORKFLOWS } from '../src/query/workflows/workflows.sql.js';
import { createDatabase, type TestDatabase } from './support/database.js';

/** Enough that reading a whole table is never the cheap way. Each case has three node tasks. */
const WORKFLOWS = 1_500;
const CASES_PER_WORKFLOW = 40;

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
  await database.query(`
    INSERT INTO workflows SELECT 'w' || w, 'W', now(), gen_random_uuid() FROM generate_series(1, ${WORKFLOWS}) w`);
  await database.query(`
    INSERT INTO node_tasks SELECT 'w' || w, 'w' || w || 'n' || n, 'N', CASE n WHEN 1 THEN 'call' WHEN 2 THEN 'sms' ELSE 'email' END,
      now(), gen_random_uuid()
    FROM generate_series(1, ${WORKFLOWS}) w, generate_series(1, 3) n`);
  await database.query(`
    INSERT INTO cases
    SELECT gen_random_uuid(), 'w' || w, 'c' || c || 'of' || w, '+62' || w || '0' || c, at, at, 1, 1, gen_random_uuid(), '\\x00'
    FROM generate_series(1, ${WORKFLOWS}) w, generate_series(1, ${CASES_PER_WORKFLOW}) c,
      LATERAL (SELECT timestamptz '2026-01-01' + make_interval(mins => w * 8, secs => c) AS at) AS t`);
  await database.query(`
    INSERT INTO case_node_tasks
    SELECT id, n, workflow_id, workflow_id || 'n' || n,
      CASE WHEN n = 1 AND case_id = 'c7of7' THEN 'rare' WHEN n = 1 THEN 'call' WHEN n = 2 THEN 'sms' ELSE 'email' END,
      CASE n WHEN 1 THEN 'task of ' || case_id END, completed_at
    FROM cases, generate_series(1, 3) n`);
  await database.query(`
    INSERT INTO notifications
    SELECT gen_random_uuid(), 'workflow-list-completion', completed_at, 'first', workflow_id, id, '\\x00', '\\x00' FROM cases`);
  await database.query(`
    INSERT INTO quarantined_notifications
    SELECT gen_random_uuid(), 'workflow-list-completion', CASE n % 1000 WHEN 0 THEN 'unstorable' ELSE 'not_json' END, '[]', '\\x00',
      int4send(n), 1, at, at, 'w' || n, 'held' || n, '+63' || n
    FROM generate_series(1, 20000) n, LATERAL (SELECT timestamptz '2026-01-01' + make_interval(secs => n) AS at) AS t`);
  await database.query(`
    INSERT INTO reveals
    SELECT gen_random_uuid(), now(), CASE n WHEN 7 THEN 'seldom' ELSE 'often' END, 'GET /v1/cases', gen_random_uuid(), 50, 0
    FROM generate_series(1, 20000) n`);
  await database.query('ANALYZE');
});
afterAll(async () => database.drop());

const BIG_TABLES = new Set(['cases', 'case_node_tasks', 'notifications', 'quarantined_notifications', 'reveals']);

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  Plans?: Plan[];
}

/** How PostgreSQL plans a prepared statement: for these parameters, or once for all, as it does when that seems no worse. */
const MODES = ['force_custom_plan', 'force_generic_plan'] as const;

async function explain(text: string, parameters: unknown[]): Promise<Plan[]> {
  await database.query(`PREPARE explained AS ${text}`);
  const execution = parameters.length === 0 ? 'explained' : `explained (${parameters.map(toLiteral).join(', ')})`;
  const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
    `EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE ${execution}`,
  );
  await database.query('DEALLOCATE explained');
  return row ? flatten(row['QUERY PLAN'][0].Plan) : [];
}

function flatten(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(flatten)];
}

type Parameter = string | number | Date | null | undefined;

function toLiteral(value: unknown): string {
  const toText = (item: Parameter): string => (item instanceof Date ? item.toISOString() : String(item));
  if (value === null || value === undefined) return 'NULL';
  if (!Array.isArray(value)) return escapeLiteral(toText(value as Parameter));
  const items = (value as Parameter[]).map((item) => (item === null ? 'NULL' : JSON.stringify(toText(item))));
  return escapeLiteral(`{${items.join(',')}}`);
}

/** Rows of ours: how many of the server's own a statement reads depends on what other tests do there. */
const touched = (plans: readonly Plan[]): number =>
  plans
    .filter(({ 'Relation Name': name }) => name !== undefined && !name.startsWith('pg_'))
    .reduce(
      (sum, plan) => sum + (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops'],
      0,
    );

const scannedBigTables = (plans: readonly Plan[]): (string | undefined)[] =>
  plans
    .filter((plan) => plan['Node Type'] === 'Seq Scan')
    .map((plan) => plan['Relation Name'])
    .filter((table) => table !== undefined && BIG_TABLES.has(table));

const LIMIT = 20;
/** A page reads its cases, their node tasks and the names of those: about ten rows a case, and then some. */
const MAX_ROWS_READ = LIMIT * 20;

describe.each(MODES)('with %s', (mode) => {
  beforeAll(async () => {
    await database.query(`SET plan_cache_mode = ${mode}`);
  });
  afterAll(async () => {
    await database.query('RESET plan_cache_mode');
  });

  describe('a page of /v1/cases is read from an index, whatever it is filtered by', () => {
    test.each<[string, Partial<CaseQuery>, string]>([
      ['nothing', {}, 'ix_cases_completed'],
      ['workflow_id', { workflow_id: 'w50' }, 'ix_cases_workflow'],
      ['case_id', { case_id: 'c5of50' }, 'ix_cases_case'],
      ['callee_number', { callee_number: '+625005' }, 'ix_cases_callee'],
      ['nodetask_id', { nodetask_id: 'w50n2' }, 'ix_case_node_tasks_nodetask'],
      ['task_id', { task_id: 'task of c5of50' }, 'ix_case_node_tasks_task'],
      ['a common node_type', { node_type: 'call' }, 'ix_case_node_tasks_type'],
      ['a rare node_type', { node_type: 'rare' }, 'ix_case_node_tasks_type'],
      ['a node_type that never occurs', { node_type: 'never' }, 'ix_case_node_tasks_type'],
      ['completed_from', { completed_from: '2026-01-05T00:00:00Z' }, 'ix_cases_completed'],
      ['completed_to', { completed_to: '2026-01-05T00:00:00Z' }, 'ix_cases_completed'],
      ['workflow_id and time', { workflow_id: 'w50', completed_from: '2026-01-01T06:40:30Z' }, 'ix_cases_workflow'],
      ['workflow_id and node_type', { workflow_id: 'w50', node_type: 'call' }, 'ix_cases_workflow'],
      ['node_type and time', { node_type: 'sms', completed_to: '2026-01-05T00:00:00Z' }, 'ix_case_node_tasks_type'],
    ])('by %s', async (_, filter, index) => {
      for (const order of ['desc', 'asc'] as const) {
        const query = plainToInstance(CaseQuery, { ...filter, order, limit: LIMIT });
        const first = listStatement(query);
        const deep = listStatement(query, [Date.parse('2026-01-05T00:00:00Z'), '80000000-0000-0000-0000-000000000000']);
        for (const { text, parameters } of [first, deep]) {
          const plans = await explain(text, parameters);
          expect(plans.map((plan) => plan['Index Name'])).toContain(index);
          expect(scannedBigTables(plans)).toEqual([]);
          expect(touched(plans)).toBeLessThan(MAX_ROWS_READ);
        }
      }
    });
  });

  test('no other statement of the API reads a big table whole', async () => {
    const [found] = await database.query<{ id: string }>(`SELECT id FROM cases LIMIT 1`);
    const [delivered] = await database.query<{ id: string }>(`SELECT id FROM notifications LIMIT 1`);
    const statements: [string, unknown[]][] = [
      [LIST_WORKFLOWS, ['infinity', 'infinity', '', 50]],
      [GET_WORKFLOW, ['w50']],
      [LIST_NODE_TASKS, ['w50', '', 50]],
      [GET_CASE, [found?.id]],
      [GET_NOTIFICATION, [delivered?.id]],
      [LIST_NOTIFICATIONS_OF_CASE, [found?.id, '-infinity', '00000000-0000-0000-0000-000000000000', 50]],
      [READ_END, []],
      [NAME_WORKFLOWS, [['w50', 'w51']]],
      [NAME_NODE_TASKS, [['w50'], ['w50n2']]],
      [LIST_NODE_TYPES, []],
      [LIST_ACTIONS, ['ffffffff-ffff-ffff-ffff-ffffffffffff', 50]],
    ];
    for (const [text, parameters] of statements) expect(scannedBigTables(await explain(text, parameters))).toEqual([]);
  });

  test('neither erasing somebody nor a step of retention reads a big table whole', async () => {
    const cases = await database.query<{ id: string }>(`SELECT id FROM cases LIMIT 5`);
    const ids = cases.map(({ id }) => id);
    const [first, old] = ['00000000-0000-0000-0000-000000000000', new Date('2026-01-02T00:00:00Z')];
    const steps: [Statement, unknown[]][] = [
      [LOCK_CASES_OF_NUMBER, ['+625005']],
      [LOCK_CASES_OF_CASE, ['w50', 'c5of50']],
      [REMOVE_CASES, [ids]],
      [READ_OLDEST, [first]],
      [MOVE_FEED_START, [-1, first, old]],
      [REMOVE_BODIES, [first, '40000000-0000-0000-0000-000000000000', old]],
      [REMOVE_NOTIFICATIONS, [first, '40000000-0000-0000-0000-000000000000', old]],
      [REMOVE_REVEALS, [first, '40000000-0000-0000-0000-000000000000', old]],
      [SCAN_CASES, ['-infinity', first, old]],
      [REMOVE_QUARANTINED, [first, '01000000-0000-0000-0000-000000000000', old]],
      [READ_QUARANTINE, [first, '+63']],
      [LOCK_OLD_CASES, [ids, old]],
    ];
    for (const [{ name, text }, parameters] of steps) {
      await database.query('BEGIN');
      const plans = await explain(text, parameters);
      await database.query('ROLLBACK');
      expect(scannedBigTables(plans), name).toEqual([]);
      expect(touched(plans), name).toBeLessThan(12_000);
    }
  });

  describe('the quarantine is read from an index, to be listed or worked', () => {
    test.each<[string, QuarantineFilter, string]>([
      ['nothing', {}, 'ix_quarantined_notifications_received'],
      ['reason', { reason: 'unstorable' }, 'ix_quarantined_notifications_reason'],
      ['a reason that never occurs', { reason: 'undecodable_body' }, 'ix_quarantined_notifications_reason'],
      ['kind', { kind: 'workflow-list-completion' }, 'ix_quarantined_notifications_received'],
      [
        'time',
        { received_from: '2026-01-01T02:00:00Z', received_to: '2026-01-01T03:00:00Z' },
        'ix_quarantined_notifications_received',
      ],
      ['case_id', { case_id: 'held7' }, 'ix_quarantined_notifications_case'],
      ['callee_number', { callee_number: '+637' }, 'ix_quarantined_notifications_callee'],
    ])('by %s', async (_, filter, index) => {
      const deep = [Date.parse('2026-01-01T02:30:00Z'), '80000000-0000-0000-0000-000000000000'] as const;
      for (const statement of [listQuarantine, batchStatement, findStatement]) {
        for (const place of [undefined, deep]) {
          const { text, parameters } = statement(filter, place, LIMIT);
          const plans = await explain(text, parameters);
          expect(plans.map((plan) => plan['Index Name'])).toContain(index);
          expect(scannedBigTables(plans)).toEqual([]);
          expect(touched(plans)).toBeLessThan(MAX_ROWS_READ);
        }
      }
    });
  });

  test('a page of the audit reads its records and no more, however seldom the key is used', async () => {
    const [from, to] = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'];
    for (const key of [undefined, 'often', 'seldom', 'never']) {
      const [text, index] = key === undefined ? [LIST_REVEALS, 'pk_reveals'] : [LIST_REVEALS_OF_KEY, 'ix_reveals_key'];
      const plans = await explain(text, [to, from, LIMIT + 1, ...(key === undefined ? [] : [key])]);
      expect(plans.map((plan) => plan['Index Name'])).toContain(index);
      expect(scannedBigTables(plans)).toEqual([]);
      expect(touched(plans)).toBeLessThanOrEqual(LIMIT + 1);
    }
  });

  test('a lookup reads what matches and no more, whatever the items are asked by', async () => {
    const items = Array.from({ length: 300 }, (_, index) => index + 1);
    for (const [caseIds, workflowIds, numbers] of [
      [items.map((w) => `c5of${w}`), null, null],
      [items.map((w) => `c5of${w}`), items.map((w) => `w${w}`), null],
      [items.map((w) => `c5of${w}`), items.map((w) => `w${w}`), items.map((w) => `+62${w}05`)],
      [null, items.map((w) => `w${w}`), items.map((w) => `+62${w}05`)],
      [items.map((w) => `held${w}`), null, null],
      [null, null, items.map((w) => `+63${w}`)],
      [items.map((w) => `none${w}`), items.map((w) => `w${w}`), null],
    ]) {
      const none = items.map(() => null);
      const plans = await explain(LOOK_UP, [caseIds ?? none, workflowIds ?? none, numbers ?? none, 34]);
      expect(scannedBigTables(plans)).toEqual([]);
      expect(touched(plans)).toBeLessThan(items.length * 15);
    }
  });

  test('a page of the feed reads its events and no more, at the start and deep inside', async () => {
    const [middle] = await database.query<{ position: string; id: string }>(
      `SELECT position, id FROM notifications ORDER BY position, id OFFSET 40000 LIMIT 1`,
    );
    for (const place of [
      [0, '00000000-0000-0000-0000-000000000000'],
      [middle?.position, middle?.id],
    ]) {
      const plans = await explain(READ_COMPLETIONS, [...place, LIMIT + 1, LIMIT + 1, null]);
      expect(plans.map((plan) => plan['Index Name'])).toContain('ix_notifications_feed');
      expect(scannedBigTables(plans)).toEqual([]);
      expect(touched(plans)).toBeLessThan(MAX_ROWS_READ);
    }
  });

  test('looking for what has been committed since reads nothing where nothing has', async () => {
    const [{ next } = { next: '' }] = await database.query<{ next: string }>(
      `SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next`,
    );
    const plans = await explain(READ_COMMITTED_EVENTS, [next, [next]]);
    expect(scannedBigTables(plans)).toEqual([]);
    expect(touched(plans)).toBeLessThan(5);
  });
});

test('counting what a filter matches reads no more than what matches', async () => {
  for (const filter of [
    { workflow_id: 'w50' },
    { nodetask_id: 'w50n2' },
    { callee_number: '+625005' },
    { node_type: 'rare' },
  ]) {
    const { text, parameters } = listStatement(
      plainToInstance(CaseQuery, { ...filter, limit: 1, include_total: 'true' }),
    );
    expect(scannedBigTables(await explain(text, parameters))).toEqual([]);
  }
});

describe('an export is read in order from an index, with nothing sorted and no table read whole', () => {
  test.each<[string, Partial<CaseFilter>, string]>([
    ['nothing', {}, 'ix_cases_completed'],
    ['workflow_id', { workflow_id: 'w50' }, 'ix_cases_workflow'],
    ['case_id', { case_id: 'c5of50' }, 'ix_cases_case'],
    ['nodetask_id', { nodetask_id: 'w50n2' }, 'ix_case_node_tasks_nodetask'],
    ['node_type', { node_type: 'call' }, 'ix_case_node_tasks_type'],
    ['time', { completed_from: '2026-01-02T00:00:00Z' }, 'ix_cases_completed'],
    ['workflow_id and node_type', { workflow_id: 'w50', node_type: 'call' }, 'ix_cases_workflow'],
  ])('by %s', async (_, filter, index) => {
    for (const order of ['desc', 'asc'] as const) {
      const { text, parameters } = exportStatement(plainToInstance(CaseFilter, { ...filter, order }));
      const plans = await explainWith(EXPORT_SETTINGS, `DECLARE export NO SCROLL CURSOR FOR ${text}`, parameters);
      expect(plans.map((plan) => plan['Index Name'])).toContain(index);
      expect(plans.map((plan) => plan['Index Name'])).toContain('pk_case_node_tasks');
      expect(scannedBigTables(plans)).toEqual([]);
      expect(plans.filter((plan) => plan['Node Type'] === 'Sort')).toEqual([]);
    }
  });
});

describe('completions are counted in indexes', () => {
  const days = (count: number, every: number): Date[] =>
    Array.from({ length: count + 1 }, (_, n) => new Date(Date.UTC(2026, 0, 1) + n * every * 86_400_000));

  test.each<[string, Partial<CaseFilter>, Date[], string[]]>([
    ['all', {}, days(10, 1), ['ix_cases_completed', 'ix_case_node_tasks_type']],
    ['all, in one bucket', {}, days(1, 30), ['ix_cases_completed', 'ix_case_node_tasks_type']],
    ['all, in many buckets', {}, days(200, 0.05), ['ix_cases_completed', 'ix_case_node_tasks_type']],
    ['of a type', { node_type: 'call' }, days(10, 1), ['ix_case_node_tasks_type']],
    ['of a workflow', { workflow_id: 'w50' }, days(10, 1), ['ix_cases_workflow', 'pk_case_node_tasks']],
    ['of both', { workflow_id: 'w50', node_type: 'call' }, days(10, 1), ['ix_cases_workflow', 'pk_case_node_tasks']],
  ])('%s', async (_, filter, bounds, indexes) => {
    const { text, parameters } = statsStatement(filter, bounds, ['call', 'sms', 'email']);
    const plans = await explainWith(STATS_SETTINGS, text, parameters);
    expect(new Set(plans.flatMap((plan) => plan['Index Name'] ?? []))).toEqual(new Set(indexes));
    expect(scannedBigTables(plans)).toEqual([]);
  });
});

/** The plan, not carried out, under a reader's own settings. */
async function explainWith(settings: Record<string, string>, text: string, parameters: unknown[]): Promise<Plan[]> {
  await database.query('BEGIN');
  for (const [name, value] of Object.entries(settings)) await database.query(`SET LOCAL ${name} = '${value}'`);
  const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(`EXPLAIN (FORMAT JSON) ${text}`, parameters);
  await database.query('ROLLBACK');
  return row ? flatten(row['QUERY PLAN'][0].Plan) : [];
}
