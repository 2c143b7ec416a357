import { buildQuery, type ParameterizedQuery, toWhere } from '../../database/sql.js';
import { MAX_LIMIT } from '../../http/rest/page.js';
import { limitByBytes } from './byte-limit.sql.js';
import type { CaseQuery } from './case-filter.dto.js';
import { selectMatches } from './case-filter.sql.js';

/**
 * A label may be nearly as long as a body, and an answer may repeat it for every case and node task that it shows. Where
 * labels would take more than this they are cut; the workflow and its node tasks, asked for themselves, have them whole.
 */
const MAX_LABEL_BYTES = 2 ** 20;
const CUT_LABEL_LENGTH = 200;

const fit = (label: string, bytes: string): string =>
  `CASE WHEN ${bytes} <= ${MAX_LABEL_BYTES} THEN ${label} ELSE left(${label}, ${CUT_LABEL_LENGTH}) END`;

/**
 * Cases whole, as CaseRow: read by pk_cases, their node tasks by pk_case_node_tasks, their names by pk_workflows and
 * pk_node_tasks. A node task comes as an array: of what was tried this costs PostgreSQL and the decoder least. Nothing
 * depends on how many rows the planner expects: the node tasks are materialized, so that it cannot read them again for
 * each case, and `OFFSET 0` keeps it from reading the tables of names whole for a few of them.
 *
 * @param are a condition on an id, without its left side
 * @param first another part of the WITH clause, for the condition to refer to
 */
const selectCasesWhere = (are: string, first = ''): string => `
  WITH ${first} passed AS MATERIALIZED (
    SELECT case_ref, array_to_json(array_agg(
      ARRAY[position::text, nodetask_id, ${fit('nodetask_name', 'label_bytes')}, node_type, task_id]
      ORDER BY position)) AS node_tasks
    FROM (
      SELECT s.*, n.nodetask_name, sum(octet_length(n.nodetask_name)) OVER () AS label_bytes
      FROM case_node_tasks s
      CROSS JOIN LATERAL (
        SELECT nodetask_name FROM node_tasks
        WHERE workflow_id = s.workflow_id AND nodetask_id = s.nodetask_id OFFSET 0) AS n
      WHERE s.case_ref ${are}) AS labelled
    GROUP BY case_ref)
  SELECT c.id, c.workflow_id, ${fit('w.workflow_name', 'sum(octet_length(w.workflow_name)) OVER ()')} AS workflow_name,
    c.case_id, c.callee_number, c.completed_at, c.last_notified_at, c.notification_count, c.revision, passed.node_tasks
  FROM cases c
  CROSS JOIN LATERAL (SELECT workflow_name FROM workflows WHERE workflow_id = c.workflow_id OFFSET 0) AS w
  LEFT JOIN passed ON passed.case_ref = c.id
  WHERE c.id ${are}`;

/**
 * Cases whole, looked up by arrays of their ids: each table in one pass along its index.
 *
 * @param shown a statement that selects the ids of those to show
 */
export const selectCases = (shown: string): string =>
  selectCasesWhere('= ANY (ARRAY(SELECT id FROM shown))', `shown AS MATERIALIZED (${shown}),`);

/** One case whole. */
export const GET_CASE = selectCasesWhere('= $1');

/** The first of some cases, given by a statement that selects them whole, as far as they fit into one answer. */
export const limitCasesByBytes = (cases: string, order: string): string =>
  limitByBytes(cases, 'coalesce(octet_length(node_tasks::text), 0)', order);

/** The newest id is the newest receipt. Reads pk_notifications. */
export const LAST_NOTIFICATION_AT = `(SELECT received_at FROM notifications ORDER BY id DESC LIMIT 1)`;

/** The statement of a page, with the total if asked for. Exported for the test that looks at its plan. */
export function listStatement(
  query: CaseQuery,
  after?: readonly [completedAtMs: number, id: string],
): ParameterizedQuery {
  return buildQuery((bind) => {
    const { from, where, completedAt, id, mayRepeat } = selectMatches(query, bind);

    const behind = query.order === 'desc' ? '<' : '>';
    const rest = after && `(${completedAt}, ${id}) ${behind} (${bind(new Date(after[0]))}, ${bind(after[1])})`;
    const order = `ORDER BY completed_at ${query.order}, id ${query.order}`;
    // The inner limit is for the planner: of a parameter it would expect a tenth of the table, and plan for that each time.
    const page = selectCases(`
    SELECT * FROM (
      SELECT ${mayRepeat ? 'DISTINCT' : ''} ${completedAt} AS completed_at, ${id} AS id
      FROM ${from} ${toWhere(rest ? [...where, rest] : where)}
      ${order}
      LIMIT ${MAX_LIMIT + 1}) AS nearest
    ${order}
    LIMIT ${bind(query.limit + 1)}`);
    const total = query.include_total
      ? `(SELECT count(${mayRepeat ? `DISTINCT ${id}` : '*'}) FROM ${from} ${toWhere(where)})`
      : 'NULL::bigint';
    return `
    SELECT *
    FROM (SELECT ${LAST_NOTIFICATION_AT} AS last_notification_at, ${total} AS total) AS known
    LEFT JOIN (${limitCasesByBytes(page, `completed_at ${query.order}, id ${query.order}`)}) AS page ON true
    ${order}`;
  });
}
