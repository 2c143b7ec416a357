import { Injectable } from '@nestjs/common';
import type { Disclosure } from '../../access/disclosure/disclosure.js';
import type { Snapshot } from '../../database/snapshot.js';
import type { CaseFilter } from '../cases/case-filter.dto.js';
import { type CaseRow, CaseResponse } from '../cases/case.dto.js';
import type { ExportFormat } from './export.formats.js';
import { declareCursor, EXPORT_SETTINGS, exportStatement, fetchRows } from './export.sql.js';
import { ExportLabels } from './export.labels.js';
import { QueryRouter } from '../../database/query-router.js';

const FIRST_ROWS = 50;
const MAX_ROWS = 1_000;
/** Target size of a chunk: large enough for throughput, small enough not to block the event loop. */
const CHUNK_LENGTH = 128 * 1024;

/** Reads any number of cases from a cursor on the server, so that neither side holds more than a batch. */
@Injectable()
export class ExportReader {
  constructor(private readonly queries: QueryRouter) {}

  /**
   * Yields the text in chunks. All cases are of one snapshot.
   *
   * @param signal aborts, also during a statement
   */
  async *read(
    filter: CaseFilter,
    disclosure: Disclosure,
    format: ExportFormat,
    signal: AbortSignal,
  ): AsyncGenerator<string, void, void> {
    const [snapshot, rows] = await this.queries.snapshot(EXPORT_SETTINGS, async (opened) =>
      begin(opened, filter, signal),
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

/** Fetches the next batch while the current one is sent. The disclosure of a batch is recorded before it is sent. */
async function* write(
  snapshot: Snapshot,
  firstRows: CaseRow[],
  disclosure: Disclosure,
  format: ExportFormat,
): AsyncGenerator<string, void, void> {
  const labels = new ExportLabels(snapshot);
  let head = format.head;
  let rows = firstRows;
  let batchSize = FIRST_ROWS;
  while (rows.length > 0) {
    await labels.fill(rows);
    const next = fetch(snapshot, batchSize);
    next.catch(() => undefined); // it may fail before it is awaited
    const chunk = format.write(rows.map((row) => CaseResponse.from(row, disclosure)));
    batchSize = Math.max(1, Math.min(MAX_ROWS, Math.round((rows.length * CHUNK_LENGTH) / chunk.length)));
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
