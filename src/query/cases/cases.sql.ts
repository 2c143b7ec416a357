import { buildQuery, type ParameterizedQuery, toWhere } from '../../database/sql.js';
import { MAX_LIMIT } from '../../http/rest/page.js';
import { limitByBytes } from './byte-limit.sql.js';
import type { CaseQuery } from './case-filter.dto.js';
import { selectMatches } from './case-filter.sql.js';

/**
 * A label may be nearly as long as a body, and a response may repeat it for every case and node task. Labels are cut if
 * they would exceed this size together; the endpoints of workflows and node tasks return them in full.
 */
const MAX_LABEL_BYTES = 2 ** 20;
const CUT_LABEL_LENGTH = 200;

const fit = (label: string, bytes: string): string =>
  `CASE WHEN ${bytes} <= ${MAX_LABEL_BYTES} THEN ${label} ELSE left(${label}, ${CUT_LABEL_LENGTH}) END`;

/**
 * Selects complete cases, as CaseRow: by pk_cases, their node tasks by pk_case_node_tasks, their names by pk_workflows
 * and pk_node_tasks. A node task is an array, the cheapest form for PostgreSQL and the decoder.
 *
 * The plan does not depend on row estimates. The node tasks are materialized, so that they are not read again for each
 * case. `OFFSET 0` prevents a scan of a whole table of names for a few of them.
 *
 * @param idCondition a condition on an id, without its left side
 * @param cte a part of the WITH clause that the condition refers to
 */
const selectCasesWhere = (idCondition: string, cte = ''): string => `
  WITH ${cte} passed AS MATERIALIZED (
    SELECT case_ref, array_to_json(array_agg(
      ARRAY[position::text, nodetask_id, ${fit('nodetask_name', 'label_bytes')}, node_type, task_id]
      ORDER BY position)) AS node_tasks
    FROM (
      SELECT s.*, n.nodetask_name, sum(octet_length(n.nodetask_name)) OVER () AS label_bytes
      FROM case_node_tasks s
      CROSS JOIN LATERAL (
        SELECT nodetask_name FROM node_tasks
        WHERE workflow_id = s.workflow_id AND nodetask_id = s.nodetask_id OFFSET 0) AS n
      WHERE s.case_ref ${idCondition}) AS labelled
    GROUP BY case_ref)
  SELECT c.id, c.workflow_id, ${fit('w.workflow_name', 'sum(octet_length(w.workflow_name)) OVER ()')} AS workflow_name,
    c.case_id, c.callee_number, c.completed_at, c.last_notified_at, c.notification_count, c.revision, passed.node_tasks
  FROM cases c
  CROSS JOIN LATERAL (SELECT workflow_name FROM workflows WHERE workflow_id = c.workflow_id OFFSET 0) AS w
  LEFT JOIN passed ON passed.case_ref = c.id
  WHERE c.id ${idCondition}`;

/**
 * Selects complete cases by an array of their ids: each table in one pass along its index.
 *
 * @param shown a statement that selects the ids
 */
export const selectCases = (shown: string): string =>
  selectCasesWhere('= ANY (ARRAY(SELECT id FROM shown))', `shown AS MATERIALIZED (${shown}),`);

/** Selects one complete case. */
export const GET_CASE = selectCasesWhere('= $1');

/** Limits complete cases to the size of a response. */
export const limitCasesByBytes = (cases: string, order: string): string =>
  limitByBytes(cases, 'coalesce(octet_length(node_tasks::text), 0)', order);

/** The time of the newest notification: the one with the greatest id. Reads pk_notifications. */
export const LAST_NOTIFICATION_AT = `(SELECT received_at FROM notifications ORDER BY id DESC LIMIT 1)`;

/** The statement of a page, with the total if the query includes it. */
export function listStatement(
  query: CaseQuery,
  after?: readonly [completedAtMs: number, id: string],
): ParameterizedQuery {
  return buildQuery((bind) => {
    const { from, where, completedAt, id, mayRepeat } = selectMatches(query, bind);

    const comparison = query.order === 'desc' ? '<' : '>';
    const rest = after && `(${completedAt}, ${id}) ${comparison} (${bind(new Date(after[0]))}, ${bind(after[1])})`;
    const order = `ORDER BY completed_at ${query.order}, id ${query.order}`;
    // The inner limit is a constant for the planner, which assumes a tenth of the table for a parameter.
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
    FROM (SELECT ${LAST_NOTIFICATION_AT} AS last_notification_at, ${total} AS total) AS list
    LEFT JOIN (${limitCasesByBytes(page, `completed_at ${query.order}, id ${query.order}`)}) AS page ON true
    ${order}`;
  });
}
