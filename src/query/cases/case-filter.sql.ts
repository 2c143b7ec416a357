import { type Bind, toWhere } from '../../database/sql.js';
import { parseTime } from '../../http/rest/time.js';
import type { CaseFilter } from './case-filter.dto.js';

export const CASE_FILTERS = ['workflow_id', 'case_id', 'callee_number'] as const;
export const NODE_TASK_FILTERS = ['task_id', 'nodetask_id', 'node_type'] as const;

/** Which rows match, as parts of a statement. */
export interface Matches {
  readonly from: string;
  readonly where: string[];
  readonly completedAt: string;
  readonly id: string;
  /** True if a case may match more than once, through several of its node tasks. */
  readonly mayRepeat: boolean;
}

/**
 * Decides which table leads, so that a page is read in order from one index whatever the sizes are: the node tasks where
 * they narrow the most (ix_case_node_tasks_task, _nodetask, _type), else the cases (ix_cases_case, _callee, _workflow,
 * _completed), of which each is then asked for its node tasks.
 */
export function selectMatches(query: CaseFilter, bind: Bind): Matches {
  const asked = <N extends keyof CaseFilter>(names: readonly N[]): N[] =>
    names.filter((name) => query[name] !== undefined);
  const equal = (table: string, names: readonly (keyof CaseFilter)[]): string[] =>
    names.map((name) => `${table}.${name} = ${bind(query[name])}`);
  const between = (column: string): string[] => [
    ...(query.completed_from === undefined ? [] : [`${column} >= ${bind(parseTime(query.completed_from))}`]),
    ...(query.completed_to === undefined ? [] : [`${column} < ${bind(parseTime(query.completed_to))}`]),
  ];
  const ofCase = asked(CASE_FILTERS);
  const ofNodeTask = asked(NODE_TASK_FILTERS);

  const nodeTasksLead =
    ofNodeTask.length > 0 && (ofCase.length === 0 || ofNodeTask.some((name) => name !== 'node_type'));
  if (nodeTasksLead) {
    const ofCaseAlone = ofCase.filter((name) => name !== 'workflow_id'); // a node task knows its workflow
    return {
      from: ofCaseAlone.length === 0 ? 'case_node_tasks s' : 'case_node_tasks s JOIN cases c ON c.id = s.case_ref',
      where: [
        ...equal('s', ofNodeTask),
        ...equal('s', asked(['workflow_id'])),
        ...equal('c', ofCaseAlone),
        ...between('s.completed_at'),
      ],
      completedAt: 's.completed_at',
      id: 's.case_ref',
      mayRepeat: true,
    };
  }
  const where = [...equal('c', ofCase), ...between('c.completed_at')];
  if (ofNodeTask.length > 0) {
    where.push(`EXISTS (SELECT FROM case_node_tasks s ${toWhere(['s.case_ref = c.id', ...equal('s', ofNodeTask)])})`);
  }
  return { from: 'cases c', where, completedAt: 'c.completed_at', id: 'c.id', mayRepeat: false };
}
