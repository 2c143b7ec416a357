import { Injectable } from '@nestjs/common';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import type { Snapshot } from '../../database/snapshot.js';
import type { CaseFilter } from '../cases/case-filter.dto.js';
import { type CaseRow, CaseResponse } from '../cases/case.dto.js';
import { selectMatches, toWhere } from '../cases/cases.reader.js';
import type { ExportFormat } from './export.formats.js';
import { ExportNames } from './export-labels.reader.js';
import { QueryRouter } from '../../database/query-router.js';

const FIRST_ROWS = 50;
const MAX_ROWS = 1_000;
/** How much is made ready at a time: enough to be quick, so little that whoever else waits for this thread hardly notices. */
const CHUNK_LENGTH = 128 * 1024;

/**
 * The pool's limit for a statement holds for each FETCH. That for an idle transaction would cut off whoever reads slowly;
 * whoever does not read at all is let go before. Every order can be read from an index, so that the first row need not
 * wait for the last. A client that is gone takes its connection along, which PostgreSQL then notices within a second even
 * while it finds nothing to send; so it does should this process end.
 */
export const EXPORT_SETTINGS = {
  idle_in_transaction_session_timeout: '10min',
  enable_sort: 'off',
  jit: 'off',
  client_connection_check_interval: '1s',
};

/** Reads cases without an end: from a cursor on the server, so that neither side ever holds more than a few. */
@Injectable()
export class ExportReader {
  constructor(private readonly reads: QueryRouter) {}

  /**
   * The text in chunks. All cases are as they were at one moment.
   *
   * @param signal gives up, also in the middle of a statement
   */
  async *read(
    filter: CaseFilter,
    sight: Disclosure,
    format: ExportFormat,
    signal: AbortSignal,
  ): AsyncGenerator<string, void, void> {
    const [snapshot, rows] = await this.reads.snapshot(EXPORT_SETTINGS, async (taken) => begin(taken, filter, signal));
    try {
      yield* write(snapshot, rows, sight, format);
    } finally {
      await snapshot.release();
    }
  }
}

async function begin(snapshot: Snapshot, filter: CaseFilter, signal: AbortSignal): Promise<CaseRow[]> {
  signal.throwIfAborted();
  signal.addEventListener('abort', () => snapshot.abandon());
  const { text, parameters } = exportStatement(filter);
  await snapshot.query(`DECLARE export NO SCROLL CURSOR FOR ${text}`, parameters);
  return fetch(snapshot, FIRST_ROWS);
}

/** While one batch is written and sent, PostgreSQL looks for the next. What a batch shows is on record before it is sent. */
async function* write(
  snapshot: Snapshot,
  firstRows: CaseRow[],
  sight: Disclosure,
  format: ExportFormat,
): AsyncGenerator<string, void, void> {
  const names = new ExportNames(snapshot);
  let head = format.head;
  let rows = firstRows;
  let wanted = FIRST_ROWS;
  while (rows.length > 0) {
    await names.fill(rows);
    const next = fetch(snapshot, wanted);
    next.catch(() => undefined); // it may fail before it is awaited
    const chunk = format.write(rows.map((row) => CaseResponse.from(row, sight)));
    wanted = Math.max(1, Math.min(MAX_ROWS, Math.round((rows.length * CHUNK_LENGTH) / chunk.length)));
    await sight.record();
    yield head + chunk;
    head = '';
    rows = await next;
  }
  if (head !== '') yield head;
}

async function fetch(snapshot: Snapshot, count: number): Promise<CaseRow[]> {
  return snapshot.query<CaseRow>(`FETCH ${count} FROM export`);
}

/**
 * The cases of `listStatement`, in its order and by its indexes, and not only a page of them; their node tasks by
 * pk_case_node_tasks, and their names left empty. Exported for the test that looks at its plan.
 */
export function exportStatement(filter: CaseFilter): { text: string; parameters: unknown[] } {
  const parameters: unknown[] = [];
  const bind = (value: unknown): string => `$${parameters.push(value)}`;
  const { from, where, completedAt, id, mayRepeat } = selectMatches(filter, bind);
  const orderBy = (time: string, tie: string): string => `ORDER BY ${time} ${filter.order}, ${tie} ${filter.order}`;
  const source = mayRepeat
    ? `(SELECT DISTINCT ${completedAt} AS completed_at, ${id} AS id FROM ${from} ${toWhere(where)}
        ${orderBy('completed_at', 'id')}) AS shown JOIN cases c ON c.id = shown.id
       ${orderBy('shown.completed_at', 'shown.id')}`
    : `${from} ${toWhere(where)} ${orderBy(completedAt, id)}`;
  const text = `
    SELECT c.id, c.workflow_id, '' AS workflow_name, c.case_id, c.callee_number, c.completed_at, c.last_notified_at, c.notification_count,
      c.revision, (
        SELECT array_to_json(array_agg(ARRAY[position::text, nodetask_id, '', node_type, task_id])) FROM (
          SELECT * FROM case_node_tasks WHERE case_ref = c.id ORDER BY position) AS s) AS node_tasks
    FROM ${source}`;
  return { text, parameters };
}
