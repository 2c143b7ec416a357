import { Injectable } from '@nestjs/common';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import type { Snapshot } from '../../database/snapshot.js';
import type { CaseFilter } from '../cases/case-filter.dto.js';
import { type CaseRow, CaseResponse } from '../cases/case.dto.js';
import type { ExportFormat } from './export.formats.js';
import { declareCursor, EXPORT_SETTINGS, exportStatement, fetchRows } from './export.sql.js';
import { ExportNames } from './export-labels.reader.js';
import { QueryRouter } from '../../database/query-router.js';

const FIRST_ROWS = 50;
const MAX_ROWS = 1_000;
/** How much is made ready at a time: enough to be quick, so little that whoever else waits for this thread hardly notices. */
const CHUNK_LENGTH = 128 * 1024;

/** Reads cases without an end: from a cursor on the server, so that neither side ever holds more than a few. */
@Injectable()
export class ExportReader {
  constructor(private readonly queries: QueryRouter) {}

  /**
   * The text in chunks. All cases are as they were at one moment.
   *
   * @param signal gives up, also in the middle of a statement
   */
  async *read(
    filter: CaseFilter,
    disclosure: Disclosure,
    format: ExportFormat,
    signal: AbortSignal,
  ): AsyncGenerator<string, void, void> {
    const [snapshot, rows] = await this.queries.snapshot(EXPORT_SETTINGS, async (taken) =>
      begin(taken, filter, signal),
    );
    try {
      yield* write(snapshot, rows, disclosure, format);
    } finally {
      await snapshot.release();
    }
  }
}

async function begin(snapshot: Snapshot, filter: CaseFilter, signal: AbortSignal): Promise<CaseRow[]> {
  signal.throwIfAborted();
  signal.addEventListener('abort', () => snapshot.abandon());
  const { text, parameters } = exportStatement(filter);
  await snapshot.query(declareCursor(text), parameters);
  return fetch(snapshot, FIRST_ROWS);
}

/** While one batch is written and sent, PostgreSQL looks for the next. What a batch shows is on record before it is sent. */
async function* write(
  snapshot: Snapshot,
  firstRows: CaseRow[],
  disclosure: Disclosure,
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
    const chunk = format.write(rows.map((row) => CaseResponse.from(row, disclosure)));
    wanted = Math.max(1, Math.min(MAX_ROWS, Math.round((rows.length * CHUNK_LENGTH) / chunk.length)));
    await disclosure.record();
    yield head + chunk;
    head = '';
    rows = await next;
  }
  if (head !== '') yield head;
}

async function fetch(snapshot: Snapshot, count: number): Promise<CaseRow[]> {
  return snapshot.query<CaseRow>(fetchRows(count));
}
