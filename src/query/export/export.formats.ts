import { stringify } from 'csv-stringify/sync';
import type { CaseResponse } from '../cases/case.dto.js';

/** A format of exported cases. */
export interface ExportFormat {
  readonly mediaType: string;
  readonly contentType: string;
  readonly head: string;
  write(cases: readonly CaseResponse[]): string;
}

/** Clients may read by position, so a new column is added at the end, and none moves. */
export const CSV_COLUMNS = [
  'id',
  'workflow_id',
  'workflow_name',
  'case_id',
  'callee_number',
  'completed_at',
  'last_notified_at',
  'notification_count',
  'revision',
  'node_task_count',
  'nodetask_ids',
  'nodetask_names',
  'node_types',
  'task_ids',
] as const;

const LINE_END = '\r\n'; // RFC 4180

/** Without it Excel assumes a legacy encoding. Programs use NDJSON. */
const BYTE_ORDER_MARK = '\uFEFF';

/** The formats by their names in `format`. */
export const EXPORT_FORMATS = {
  ndjson: {
    mediaType: 'application/x-ndjson',
    contentType: 'application/x-ndjson',
    head: '',
    write: (cases) => cases.map((each) => `${JSON.stringify(each)}\n`).join(''),
  },
  csv: {
    mediaType: 'text/csv',
    contentType: 'text/csv; charset=utf-8; header=present',
    head: `${BYTE_ORDER_MARK}${CSV_COLUMNS.join(',')}${LINE_END}`,
    write: (cases) =>
      stringify(cases.map(toRecord), {
        record_delimiter: LINE_END,
        quoted_match: /[\r\n]/, // the library quotes its own line end only
        escape_formulas: true,
        cast: { string: escapeStart },
      }),
  },
} as const satisfies Record<string, ExportFormat>;

/**
 * Escapes what the library leaves out. A spreadsheet may skip a line feed and evaluate a formula after it. The
 * apostrophe is escaped too, so that removing one always restores the text.
 */
function escapeStart(text: string): string {
  return /^['\n]/.test(text) ? `'${text}` : text;
}

/** In the order of CSV_COLUMNS. */
function toRecord({ node_tasks: tasks, ...one }: CaseResponse): (string | number)[] {
  return [
    one.id,
    one.workflow_id,
    one.workflow_name,
    one.case_id,
    one.callee_number,
    one.completed_at,
    one.last_notified_at,
    one.notification_count,
    one.revision,
    tasks.length,
    join(tasks.map((task) => task.nodetask_id)),
    join(tasks.map((task) => task.nodetask_name)),
    join(tasks.map((task) => task.node_type)),
    join(tasks.map((task) => task.task_id ?? '')),
  ];
}

/** Joins by `|`, at which a spreadsheet can split. In a value it is written `\|`, and a backslash `\\`. */
function join(values: readonly string[]): string {
  return values.map((value) => (/[\\|]/.test(value) ? value.replace(/[\\|]/g, '\\$&') : value)).join('|');
}
