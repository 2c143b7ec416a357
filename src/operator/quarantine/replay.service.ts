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
import {
  ReasonCountResponse,
  type ReplayPage,
  type ReplayRequest,
  type ReplayResponse,
} from './quarantine-commands.dto.js';
import {
  batchStatement,
  UPDATE_REJECTION_REASON,
  GET_BATCH_OF_ONE,
  type QuarantinePosition,
  cursorScopeOf,
} from './quarantine.sql.js';

const MAX_BATCH = 200;

/** A call reads about this size of bodies, so that the response comes within seconds. */
const MAX_BYTES = 32 * 2 ** 20;

const MAX_ERRORS = 10;

type Row = Pick<
  QuarantinedNotificationEntity,
  'id' | 'kind' | 'reason' | 'errors' | 'first_received_at' | 'body' | 'body_digest'
>;

/** The results of a batch: outcomes of written bodies, and rejections. A body in neither is held. */
interface ReplayOutcomes {
  readonly written: ReadonlyMap<string, Outcome>;
  readonly rejected: ReadonlyMap<string, Rejection>;
}

/**
 * Validates quarantined bodies by the current rules, and writes the valid ones as notifications with the id and the
 * time of their first receipt.
 *
 * A notification is written before its body is removed. A process killed in between leaves both: the next replay finds
 * the notification already written (`known`), and removes the body.
 */
@Injectable()
export class ReplayService {
  constructor(
    private readonly lock: QuarantineLock,
    private readonly writer: Writer,
    private readonly cursors: Cursors,
  ) {}

  /** Undefined if there is no body with this id. */
  async replay(id: string, by: string): Promise<ReplayResponse | undefined> {
    return this.lock.runExclusive(async (transaction) => {
      const rows = await transaction.query<Row>(GET_BATCH_OF_ONE, [id]);
      const [outcome] = await this.replayBatch(transaction, rows, by, false);
      return outcome;
    });
  }

  /** Replays matching bodies, oldest first: in the order of their receipt. */
  async replayMatching(request: ReplayRequest, by: string): Promise<ReplayPage> {
    const { filter, dry_run, limit, cursor } = request;
    const cursorScope = ['quarantine replay', ...cursorScopeOf(filter)];
    let after = this.cursors.read(cursorScope, cursor) as QuarantinePosition | undefined;
    const data: ReplayResponse[] = [];
    let bytes = 0;
    for (let batchSize = Infinity; batchSize > 0 && data.length < limit && bytes < MAX_BYTES;) {
      const { text, parameters } = batchStatement(filter, after, Math.min(MAX_BATCH, limit - data.length));
      const rows = await this.lock.runExclusive(async (transaction) => {
        const batch = await transaction.query<Row>(text, parameters);
        data.push(...(await this.replayBatch(transaction, batch, by, dry_run)));
        return batch;
      });
      batchSize = rows.length;
      bytes += rows.reduce((sum, { body }) => sum + body.length, 0);
      after = rows.length > 0 ? positionOf(rows.at(-1) as Row) : after;
    }
    const hasMore = after !== undefined && (await this.lock.hasMore(filter, after));
    const next_cursor = hasMore ? this.cursors.write(cursorScope, after as QuarantinePosition) : null;
    return { dry_run, ...count(data), data: data.map(shorten), next_cursor };
  }

  private async replayBatch(
    transaction: QuarantineTransaction,
    rows: readonly Row[],
    by: string,
    isDryRun: boolean,
  ): Promise<ReplayResponse[]> {
    const outcomes = await this.write(rows, isDryRun);
    if (!isDryRun) await applyOutcomes(transaction, rows, outcomes, by);
    return rows.map(({ id }) => toResponse(id, outcomes, isDryRun));
  }

  private async write(rows: readonly Row[], isDryRun: boolean): Promise<ReplayOutcomes> {
    const written = new Map<string, Outcome>();
    const rejected = new Map<string, Rejection>();
    const valid: Notification[] = [];
    for (const { id, kind, first_received_at: receivedAt, body } of rows) {
      const parsed = parseNotification({ id, kind: kind as Kind, receivedAt }, body);
      if (parsed instanceof Rejection) rejected.set(id, parsed);
      else valid.push(parsed);
    }
    const observer: WriteObserver = {
      onCommitted: (outcomes) => outcomes.forEach((outcome, { id }) => written.set(id, outcome)),
      onCaseLocked: () => undefined,
      onRejected: ({ id, body }, error) => rejected.set(id, databaseRejection(body, error)),
    };
    await (isDryRun ? this.writer.dryRun(valid, observer) : this.writer.write(valid, observer));
    return { written, rejected };
  }
}

async function applyOutcomes(
  transaction: QuarantineTransaction,
  rows: readonly Row[],
  { written, rejected }: ReplayOutcomes,
  by: string,
): Promise<void> {
  await transaction.query(LOCK_USAGE.text, []); // before any row, as ingest does
  const replayed = [...written].map(([id, verdict]) => ({ id, verdict }));
  await transaction.remove(replayed, { action: 'replayed', by });
  const corrections = correctionsOf(rows, rejected);
  await transaction.query(
    UPDATE_REJECTION_REASON,
    [0, 1, 2].map((column) => corrections.map((correction) => correction[column])),
  );
}

/** The rows whose reason or errors have changed; one row for equal bytes. */
function correctionsOf(
  rows: readonly Row[],
  rejected: ReplayOutcomes['rejected'],
): (readonly [id: string, reason: string, errors: string])[] {
  const corrections = rows.flatMap((row) => {
    const rejection = rejected.get(row.id);
    if (!rejection) return [];
    const { reason } = rejection;
    const errors = JSON.stringify(errorsOf(rejection));
    if (reason === row.reason && errors === JSON.stringify(row.errors)) return [];
    return [[keyOf({ ...row, reason }), [row.id, reason, errors]] as const];
  });
  return [...new Map(corrections).values()];
}

function toResponse(id: string, { written, rejected }: ReplayOutcomes, isDryRun: boolean): ReplayResponse {
  const verdict = written.get(id);
  const rejection = rejected.get(id);
  return {
    id,
    outcome: verdict === 'erased' ? verdict : verdict ? 'replayed' : rejection ? 'refused' : 'held',
    verdict: isDryRun || verdict === undefined || verdict === 'erased' ? null : verdict,
    reason: rejection?.reason ?? null,
    errors: rejection ? errorsOf(rejection) : [],
  };
}

function positionOf({ first_received_at, id }: Row): QuarantinePosition {
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
