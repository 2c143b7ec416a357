import { type Bind, buildQuery, type ParameterizedQuery } from '../../database/sql.js';
import type { CompletionStatsQuery } from './stats.dto.js';

/** Up to this number of buckets, each has its own part of the statement, so that parallel workers share them. */
const MAX_PARTS = 50;

/** The types of all node tasks, by a skip scan of ix_case_node_tasks_type. */
export const LIST_NODE_TYPES = `
  WITH RECURSIVE types (node_type) AS (
    (SELECT node_type FROM case_node_tasks ORDER BY node_type LIMIT 1)
    UNION ALL
    SELECT (SELECT s.node_type FROM case_node_tasks s WHERE s.node_type > t.node_type ORDER BY s.node_type LIMIT 1)
    FROM types t WHERE t.node_type IS NOT NULL)
  SELECT node_type FROM types WHERE node_type IS NOT NULL`;

type Filter = Pick<CompletionStatsQuery, 'workflow_id' | 'node_type'>;

/**
 * Counts in ix_cases_completed and ix_case_node_tasks_type, which has the entries of one case next to each other. With
 * a workflow it counts in ix_cases_workflow and pk_case_node_tasks.
 *
 * @param nodeTypes all types, if the filter has neither a workflow nor a type
 */
export function statsStatement(
  filter: Filter,
  bounds: readonly Date[],
  nodeTypes: readonly string[],
): ParameterizedQuery {
  return buildQuery((bind) => {
    const counts = countsOf(filter, nodeTypes, bind);
    const lower = bounds.slice(0, -1);
    const upper = bounds.slice(1);
    if (filter.workflow_id === undefined && upper.length <= MAX_PARTS) {
      const parts = upper.flatMap((to, bucket) => {
        const [from, until] = [bind(lower[bucket], 'timestamptz'), bind(to, 'timestamptz')];
        return counts.map((count) => `SELECT ${bucket} AS bucket, counted.* FROM (${count(from, until)}) AS counted`);
      });
      return parts.join(' UNION ALL ');
    }
    const buckets = `unnest(${bind(lower, 'timestamptz[]')}, ${bind(upper, 'timestamptz[]')})`;
    const counted = counts.map((count) => count('b.lower', 'b.upper')).join(' UNION ALL ');
    return `
    SELECT (b.n - 1)::integer AS bucket, counted.*
    FROM ${buckets} WITH ORDINALITY AS b (lower, upper, n) CROSS JOIN LATERAL (${counted}) AS counted`;
  });
}

/** A statement that counts between two times. */
type Count = (from: string, to: string) => string;

function countsOf({ workflow_id, node_type }: Filter, nodeTypes: readonly string[], bind: Bind): Count[] {
  if (workflow_id !== undefined) return countOfWorkflow(workflow_id, node_type, bind);
  if (node_type !== undefined) return [countType(node_type, bind)];
  return [countCases, ...nodeTypes.map((nodeType) => countType(nodeType, bind))];
}

const countCases: Count = (from, to) => `
  SELECT NULL::text AS node_type, count(*) AS count FROM cases WHERE completed_at >= ${from} AND completed_at < ${to}`;

function countType(nodeType: string, bind: Bind): Count {
  const type = bind(nodeType, 'text');
  return (from, to) => `
    SELECT ${type} AS node_type, count(*) AS count FROM (
      SELECT FROM case_node_tasks
      WHERE node_type = ${type} AND completed_at >= ${from} AND completed_at < ${to}
      GROUP BY completed_at, case_ref) AS each`;
}

function countOfWorkflow(workflowId: string, nodeType: string | undefined, bind: Bind): Count[] {
  const workflow = bind(workflowId, 'text');
  const within: Count = (from, to) =>
    `c.workflow_id = ${workflow} AND c.completed_at >= ${from} AND c.completed_at < ${to}`;
  if (nodeType !== undefined) {
    const type = bind(nodeType, 'text');
    const wentThrough = `EXISTS (SELECT FROM case_node_tasks s WHERE s.case_ref = c.id AND s.node_type = ${type})`;
    return [
      (from, to) => `
        SELECT ${type} AS node_type, count(*) AS count FROM cases c WHERE ${within(from, to)} AND ${wentThrough}`,
    ];
  }
  return [
    (from, to) => `SELECT NULL::text AS node_type, count(*) AS count FROM cases c WHERE ${within(from, to)}`,
    (from, to) => `
      SELECT s.node_type, count(DISTINCT c.id) AS count FROM cases c JOIN case_node_tasks s ON s.case_ref = c.id
      WHERE ${within(from, to)} GROUP BY s.node_type`,
  ];
}
