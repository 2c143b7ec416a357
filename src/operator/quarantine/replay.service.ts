import { Injectable } from '@nestjs/common';
import type { QuarantinedNotificationEntity } from '../../database/entities.js';
import type { Outcome } from '../../ingest/write/batch.js';
import { type Kind, type Notification, parseNotification } from '../../ingest/notification/notification.js';
import { LOCK_USAGE } from '../../ingest/quarantine/quarantine.sql.js';
import { Rejection, databaseRejection } from '../../ingest/notification/rejection.js';
import { errorsOf, keyOf } from '../../ingest/quarantine/quarantined-body.js';
import { type WriteObserver, Writer } from '../../ingest/write/writer.js';
import { Cursors } from '../../http/rest/cursor.js';
import { type QuarantineTransaction, QuarantineLock } from './quarantine-lock.js';
import type { ReplayRequest } from './quarantine-commands.dto.js';
import {
  batchStatement,
  UPDATE_REJECTION_REASON,
  GET_BATCH_OF_ONE,
  type QuarantinePosition,
  cursorScopeOf,
} from './quarantine.sql.js';
import { ReasonCountResponse, type ReplayPage, type ReplayResponse } from './replay.dto.js';

const MAX_BATCH = 200;

/** One call looks at some so many bytes of bodies: it is to be answered within seconds. */
const MAX_BYTES = 32 * 2 ** 20;

const MAX_ERRORS = 10;

type Row = Pick<
  QuarantinedNotificationEntity,
  'id' | 'kind' | 'reason' | 'errors' | 'first_received_at' | 'body' | 'body_digest'
>;

/** Of a batch: what came of those that are written now, and why others are refused. Those in neither are held. */
interface ReplayOutcomes {
  readonly written: ReadonlyMap<string, Outcome>;
  readonly refused: ReadonlyMap<string, Rejection>;
}

/**
 * Judges refused bodies again, by today's rules, and makes notifications of those that pass: with the id and the time of their
 * first receipt, as if they had been accepted then.
 *
 * They are written before they are removed. A process killed in between leaves both, which is harmless: replayed again they are
 * `known` to the writer, and only removed.
 */
@Injectable()
export class ReplayService {
  constructor(
    private readonly acts: QuarantineLock,
    private readonly writer: Writer,
    private readonly cursors: Cursors,
  ) {}

  /** Undefined if there is no such refused body. */
  async replay(id: string, by: string): Promise<ReplayResponse | undefined> {
    return this.acts.runExclusive(async (acting) => {
      const rows = await acting.query<Row>(GET_BATCH_OF_ONE, [id]);
      const [outcome] = await this.replayBatch(acting, rows, by, false);
      return outcome;
    });
  }

  /** Oldest first: in the order in which they would have been accepted. */
  async replayMatching(request: ReplayRequest, by: string): Promise<ReplayPage> {
    const { filter, dry_run, limit, cursor } = request;
    const question = ['quarantine replay', ...cursorScopeOf(filter)];
    let behind = (await this.cursors.read(question, cursor)) as QuarantinePosition | undefined;
    const data: ReplayResponse[] = [];
    let bytes = 0;
    for (let found = Infinity; found > 0 && data.length < limit && bytes < MAX_BYTES;) {
      const { text, parameters } = batchStatement(filter, behind, Math.min(MAX_BATCH, limit - data.length));
      const rows = await this.acts.runExclusive(async (acting) => {
        const batch = await acting.query<Row>(text, parameters);
        data.push(...(await this.replayBatch(acting, batch, by, dry_run)));
        return batch;
      });
      found = rows.length;
      bytes += rows.reduce((sum, { body }) => sum + body.length, 0);
      behind = rows.length > 0 ? placeOf(rows.at(-1) as Row) : behind;
    }
    const hasMore = behind !== undefined && (await this.acts.has(filter, behind));
    const next_cursor = hasMore ? await this.cursors.write(question, behind as QuarantinePosition) : null;
    return { dry_run, ...count(data), data: data.map(shorten), next_cursor };
  }

  private async replayBatch(
    acting: QuarantineTransaction,
    rows: readonly Row[],
    by: string,
    isDryRun: boolean,
  ): Promise<ReplayResponse[]> {
    const fates = await this.write(rows, isDryRun);
    if (!isDryRun) await applyOutcomes(acting, rows, fates, by);
    return rows.map(({ id }) => toResponse(id, fates, isDryRun));
  }

  private async write(rows: readonly Row[], isDryRun: boolean): Promise<ReplayOutcomes> {
    const written = new Map<string, Outcome>();
    const refused = new Map<string, Rejection>();
    const passing: Notification[] = [];
    for (const { id, kind, first_received_at: receivedAt, body } of rows) {
      const parsed = parseNotification({ id, kind: kind as Kind, receivedAt }, body);
      if (parsed instanceof Rejection) refused.set(id, parsed);
      else passing.push(parsed);
    }
    const report: WriteObserver = {
      onCommitted: (outcomes) => outcomes.forEach((outcome, { id }) => written.set(id, outcome)),
      onCaseLocked: () => undefined,
      onRejected: ({ id, body }, error) => refused.set(id, databaseRejection(body, error)),
    };
    await (isDryRun ? this.writer.dryRun(passing, report) : this.writer.write(passing, report));
    return { written, refused };
  }
}

async function applyOutcomes(
  acting: QuarantineTransaction,
  rows: readonly Row[],
  { written, refused }: ReplayOutcomes,
  by: string,
): Promise<void> {
  await acting.query(LOCK_USAGE.text, []); // before any row, as the door does
  const leaving = [...written].map(([id, verdict]) => ({ id, verdict }));
  await acting.remove(leaving, { action: 'replayed', by });
  const corrections = correctionsOf(rows, refused);
  await acting.query(
    UPDATE_REJECTION_REASON,
    [0, 1, 2].map((column) => corrections.map((correction) => correction[column])),
  );
}

/** Of those of which today something else is wrong; of equal bytes one. */
function correctionsOf(
  rows: readonly Row[],
  refused: ReplayOutcomes['refused'],
): (readonly [id: string, reason: string, errors: string])[] {
  const corrections = rows.flatMap((row) => {
    const refusal = refused.get(row.id);
    if (!refusal) return [];
    const { reason } = refusal;
    const errors = JSON.stringify(errorsOf(refusal));
    if (reason === row.reason && errors === JSON.stringify(row.errors)) return [];
    return [[keyOf({ ...row, reason }), [row.id, reason, errors]] as const];
  });
  return [...new Map(corrections).values()];
}

function toResponse(id: string, { written, refused }: ReplayOutcomes, isDryRun: boolean): ReplayResponse {
  const fate = written.get(id);
  const refusal = refused.get(id);
  return {
    id,
    outcome: fate === 'erased' ? fate : fate ? 'replayed' : refusal ? 'refused' : 'held',
    verdict: isDryRun || fate === undefined || fate === 'erased' ? null : fate,
    reason: refusal?.reason ?? null,
    errors: refusal ? errorsOf(refusal) : [],
  };
}

function placeOf({ first_received_at, id }: Row): QuarantinePosition {
  return [first_received_at.getTime(), id];
}

function count(
  data: readonly ReplayResponse[],
): Pick<ReplayPage, 'replayed' | 'erased' | 'refused' | 'held' | 'reasons'> {
  const of = (outcome: ReplayResponse['outcome']): number => data.filter((each) => each.outcome === outcome).length;
  const reasons = ReasonCountResponse.from(data.flatMap(({ reason }) => reason ?? []));
  return { replayed: of('replayed'), erased: of('erased'), refused: of('refused'), held: of('held'), reasons };
}

function shorten(response: ReplayResponse): ReplayResponse {
  return { ...response, errors: response.errors.slice(0, MAX_ERRORS) };
}
