import { plainToInstance } from 'class-transformer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CaseQuery } from '../src/query/case.query.js';
import { listStatement } from '../src/query/cases.reader.js';
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
  await database.query('ANALYZE');
});
afterAll(async () => database.drop());

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  Plans?: Plan[];
}

async function explain(text: string, parameters: unknown[]): Promise<Plan[]> {
  const [row] = await database.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
    `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
    parameters,
  );
  const flatten = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(flatten)];
  return row ? flatten(row['QUERY PLAN'][0].Plan) : [];
}

const touched = (plans: readonly Plan[]): number =>
  plans
    .filter((plan) => plan['Relation Name'] !== undefined)
    .reduce(
      (sum, plan) => sum + (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops'],
      0,
    );

const LIMIT = 20;
/** A page reads its cases, their node tasks and the names of those: about ten rows a case, and then some. */
const MAX_ROWS_READ = LIMIT * 20;

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
        const scanned = plans.filter((plan) => plan['Node Type'] === 'Seq Scan').map((plan) => plan['Relation Name']);
        for (const table of ['cases', 'case_node_tasks', 'notifications']) expect(scanned).not.toContain(table);
        expect(touched(plans)).toBeLessThan(MAX_ROWS_READ);
      }
    }
  });
});
