import { type Bind, toWhere } from '../../database/sql.js';
import { parseTime } from '../../http/rest/time.js';
import type { CaseFilter } from './case-filter.dto.js';

export const CASE_FILTERS = ['workflow_id', 'case_id', 'callee_number'] as const;
export const NODE_TASK_FILTERS = ['task_id', 'nodetask_id', 'node_type'] as const;

/** The parts of a statement that select the matching rows. */
export interface Matches {
  readonly from: string;
  readonly where: string[];
  readonly completedAt: string;
  readonly id: string;
  /** True if a case may match several times, by several of its node tasks. */
  readonly mayRepeat: boolean;
}

/**
 * Selects the leading table, so that a page is read in order from one index whatever the sizes are. The node tasks lead
 * if they are the most selective (ix_case_node_tasks_task, _nodetask, _type). Otherwise the cases lead (ix_cases_case,
 * _callee, _workflow, _completed), and the node tasks of each case are checked.
 */
export function selectMatches(query: CaseFilter, bind: Bind): Matches {
  const given = <N extends keyof CaseFilter>(names: readonly N[]): N[] =>
    names.filter((name) => query[name] !== undefined);
  const equal = (table: string, names: readonly (keyof CaseFilter)[]): string[] =>
    names.map((name) => `${table}.${name} = ${bind(query[name])}`);
  const between = (column: string): string[] => [
    ...(query.completed_from === undefined ? [] : [`${column} >= ${bind(parseTime(query.completed_from))}`]),
    ...(query.completed_to === undefined ? [] : [`${column} < ${bind(parseTime(query.completed_to))}`]),
  ];
  const caseFilters = given(CASE_FILTERS);
  const nodeTaskFilters = given(NODE_TASK_FILTERS);

  const nodeTasksLead =
    nodeTaskFilters.length > 0 && (caseFilters.length === 0 || nodeTaskFilters.some((name) => name !== 'node_type'));
  if (nodeTasksLead) {
    const caseOnlyFilters = caseFilters.filter((name) => name !== 'workflow_id'); // a node task has its workflow too
    return {
      from: caseOnlyFilters.length === 0 ? 'case_node_tasks s' : 'case_node_tasks s JOIN cases c ON c.id = s.case_ref',
      where: [
        ...equal('s', nodeTaskFilters),
        ...equal('s', given(['workflow_id'])),
        ...equal('c', caseOnlyFilters),
        ...between('s.completed_at'),
      ],
      completedAt: 's.completed_at',
      id: 's.case_ref',
      mayRepeat: true,
    };
  }
  const where = [...equal('c', caseFilters), ...between('c.completed_at')];
  if (nodeTaskFilters.length > 0) {
    where.push(
      `EXISTS (SELECT FROM case_node_tasks s ${toWhere(['s.case_ref = c.id', ...equal('s', nodeTaskFilters)])})`,
    );
  }
  return { from: 'cases c', where, completedAt: 'c.completed_at', id: 'c.id', mayRepeat: false };
}
