import { buildQuery, type ParameterizedQuery, toWhere } from '../../database/sql.js';
import type { CaseFilter } from '../cases/case-filter.dto.js';
import { selectMatches } from '../cases/case-filter.sql.js';

/**
 * Settings of the export's transaction. The statement timeout of the pool applies to each FETCH.
 *
 * - `idle_in_transaction_session_timeout`: the default would abort the export of a client that reads slowly.
 * - `enable_sort`: every order is that of an index, so that the first row does not wait for the last.
 * - `client_connection_check_interval`: PostgreSQL ends the statement within a second after the connection is closed.
 */
export const EXPORT_SETTINGS = {
  idle_in_transaction_session_timeout: '10min',
  enable_sort: 'off',
  jit: 'off',
  client_connection_check_interval: '1s',
};

/**
 * Selects all cases of `listStatement`, in the same order and by the same indexes. Node tasks are read by
 * pk_case_node_tasks. Names are empty; `ExportLabels` fills them in.
 */
export function exportStatement(filter: CaseFilter): ParameterizedQuery {
  return buildQuery((bind) => {
    const { from, where, completedAt, id, mayRepeat } = selectMatches(filter, bind);
    const orderBy = (time: string, tie: string): string => `ORDER BY ${time} ${filter.order}, ${tie} ${filter.order}`;
    const source = mayRepeat
      ? `(SELECT DISTINCT ${completedAt} AS completed_at, ${id} AS id FROM ${from} ${toWhere(where)}
        ${orderBy('completed_at', 'id')}) AS shown JOIN cases c ON c.id = shown.id
       ${orderBy('shown.completed_at', 'shown.id')}`
      : `${from} ${toWhere(where)} ${orderBy(completedAt, id)}`;
    return `
    SELECT c.id, c.workflow_id, '' AS workflow_name, c.case_id, c.callee_number, c.completed_at, c.last_notified_at, c.notification_count,
      c.revision, (
        SELECT array_to_json(array_agg(ARRAY[position::text, nodetask_id, '', node_type, task_id])) FROM (
          SELECT * FROM case_node_tasks WHERE case_ref = c.id ORDER BY position) AS s) AS node_tasks
    FROM ${source}`;
  });
}

/** The cursor on the server that `fetchRows` reads. */
export const declareCursor = (text: string): string => `DECLARE export NO SCROLL CURSOR FOR ${text}`;

/** The next rows of the cursor. */
export const fetchRows = (count: number): string => `FETCH ${count} FROM export`;

/** By pk_workflows. */
export const NAME_WORKFLOWS = `SELECT workflow_id, workflow_name FROM workflows WHERE workflow_id = ANY($1)`;

/** By pk_node_tasks. */
export const NAME_NODE_TASKS = `
  SELECT n.workflow_id, n.nodetask_id, n.nodetask_name
  FROM unnest($1::text[], $2::text[]) AS asked (workflow_id, nodetask_id)
  JOIN node_tasks n ON n.workflow_id = asked.workflow_id AND n.nodetask_id = asked.nodetask_id`;
