import { Injectable } from '@nestjs/common';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import type { CaseFilter, CaseQuery } from './case-filter.dto.js';
import { type CaseRow, CaseResponse, type CasesPage } from './case.dto.js';
import { limitCasesByBytes, GET_CASE, selectCases } from './cases.sql.js';
import { Cursors } from '../../http/rest/cursor.js';
import { IngestFreshness, LAST_NOTIFICATION_AT } from './freshness.dto.js';
import { MAX_LIMIT, toPage } from '../../http/rest/page.js';
import { QueryRouter } from '../../database/query-router.js';
import { parseTime } from '../../http/rest/time.js';

const CASE_FILTERS = ['workflow_id', 'case_id', 'callee_number'] as const;
const NODE_TASK_FILTERS = ['task_id', 'nodetask_id', 'node_type'] as const;

/** Where nothing matches, one row has what is known of all, and nothing else. */
type Row = (CaseRow | { [column in keyof CaseRow]: null }) & {
  readonly last_notification_at: Date | null;
  readonly total: string | null;
  readonly found: string | null;
};

/** Reads cases. Each answer is one statement, so that what it says holds together. */
@Injectable()
export class CasesReader {
  constructor(
    private readonly reads: QueryRouter,
    private readonly cursors: Cursors,
    private readonly ingestion: IngestFreshness,
  ) {}

  async get(id: string, sight: Disclosure): Promise<CaseResponse | undefined> {
    const [row] = await this.reads.queryById<CaseRow>(GET_CASE, [id]);
    return row && CaseResponse.from(row, sight);
  }

  /**
   * Pages go along (completed_at, id), a place that new cases do not disturb. Only a case whose completion turns out to be
   * earlier than was known, because an older delivery arrives late, changes its place.
   */
  async list(query: CaseQuery, sight: Disclosure): Promise<CasesPage> {
    const question = cursorScopeOf(query);
    const position = await this.cursors.read(question, query.cursor);
    const { text, parameters } = listStatement(query, position as [number, string] | undefined);
    const describe = this.ingestion.capture();
    const rows = await this.reads.query<Row>(text, parameters);
    const page = await toPage(
      rows.filter((row): row is CaseRow & Row => row.id !== null),
      query.limit,
      (row) => CaseResponse.from(row, sight),
      async (last) => this.cursors.write(question, [last.completed_at.getTime(), last.id]),
      Number(rows[0]?.found),
    );
    const ingestion = describe(rows[0]?.last_notification_at);
    return query.include_total ? { ...page, total: Number(rows[0]?.total), ingestion } : { ...page, ingestion };
  }
}

/** What a cursor is bound to: everything that decides which cases come in which order. Exported for the bench. */
export function cursorScopeOf(query: CaseQuery): unknown[] {
  const filters = [...CASE_FILTERS, ...NODE_TASK_FILTERS].map((name) => query[name] ?? null);
  return ['cases', query.order, query.completed_from ?? null, query.completed_to ?? null, ...filters];
}

/** The statement of a page, with the total if asked for. Exported for the test that looks at its plan. */
export function listStatement(
  query: CaseQuery,
  after?: readonly [completedAtMs: number, id: string],
): { text: string; parameters: unknown[] } {
  const parameters: unknown[] = [];
  const bind = (value: unknown): string => `$${parameters.push(value)}`;
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
  const text = `
    SELECT *
    FROM (SELECT ${LAST_NOTIFICATION_AT} AS last_notification_at, ${total} AS total) AS known
    LEFT JOIN (${limitCasesByBytes(page, `completed_at ${query.order}, id ${query.order}`)}) AS page ON true
    ${order}`;
  return { text, parameters };
}

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
export function selectMatches(query: CaseFilter, bind: (value: unknown) => string): Matches {
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

export function toWhere(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
}
