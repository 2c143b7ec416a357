import { Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Connection } from '../../database/connection.js';
import { isPossiblyDataError } from '../../database/errors.js';
import { withTimeout } from '../../database/timeout.js';
import { QuarantineUsage, type Usage } from './quarantine-usage.js';
import { ErasureFilter } from '../erasure/erasure-filter.js';
import { encodeColumns } from '../../database/binary-arrays.js';
import type { Receipt } from '../notification/notification.js';
import { BODY_KEY, FIND_BODIES, INSERT_BODIES, LOCK_USAGE, REJECTED_BODY } from './quarantine.sql.js';
import { quarantineFullProblem, type Rejection } from '../notification/rejection.js';
import { type BodyKey, keyOf, mergeEqual, type RejectedBody, toRejectedBody } from './quarantined-body.js';

const MAX_BATCH = 200;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;

/** What takes longer is given to the spool: the sender waits for us. */
const LIMIT_MS = 700;

interface Waiting {
  readonly refused: RejectedBody;
  readonly keep: (id: string) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Keeps refused bodies as they came, so that nothing a sender was told to be wrong is lost; up to `QUARANTINE_MAX_ROWS` and
 * `QUARANTINE_MAX_BYTES`, so that a sender gone wild fills no disk.
 *
 * Those that arrive while others are written travel together in the next transaction: however many there are, they take one
 * of the door's connections, and no valid notification waits behind them.
 */
@Injectable()
export class QuarantineWriter {
  readonly #logger = new Logger('Quarantine');
  readonly #waiting = new Set<Waiting>();
  #isWriting = false;
  #isTurningAway = false;

  constructor(
    private readonly dataSource: DataSource,
    private readonly usage: QuarantineUsage,
    private readonly erasures: ErasureFilter,
  ) {}

  /** As far as is known: while PostgreSQL is away, what was so before. */
  hasRoomFor(body: Buffer): boolean {
    return !this.usage.latest || this.usage.hasRoom(this.usage.latest, body.length);
  }

  /**
   * @returns the id under which the body is kept: an earlier receipt's, if the same bytes came before
   * @throws Problem `quarantine_full`; what PostgreSQL answered, or TooSlowError: then the body is not kept, or nobody knows,
   *   and the sender must not be told that it was refused
   */
  async keep(receipt: Receipt, refusal: Rejection): Promise<string> {
    const refused = toRejectedBody(receipt, refusal);
    let waiting: Waiting | undefined;
    const kept = new Promise<string>((keep, reject) => this.#waiting.add((waiting = { refused, keep, reject })));
    void this.writeWaiting();
    try {
      return await withTimeout(LIMIT_MS, kept);
    } finally {
      if (waiting) this.#waiting.delete(waiting); // given up: its bytes are no longer counted as held by the door
    }
  }

  /** Keeps what was acknowledged as kept before, such as what comes from the spool: whether there is room or not. */
  async keepAcknowledged(refused: readonly { receipt: Receipt; refusal: Rejection }[]): Promise<void> {
    if (refused.length > 0) {
      await this.store(
        refused.map(({ receipt, refusal }) => toRejectedBody(receipt, refusal)),
        () => true,
      );
    }
  }

  private async writeWaiting(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (this.#waiting.size > 0) await this.write(this.takeBatch());
    this.#isWriting = false;
  }

  private takeBatch(): Waiting[] {
    const batch: Waiting[] = [];
    let bytes = 0;
    for (const waiting of this.#waiting) {
      bytes += waiting.refused.body.length;
      if (batch.length === MAX_BATCH || (batch.length > 0 && bytes > MAX_BATCH_BYTES)) break;
      batch.push(waiting);
      this.#waiting.delete(waiting);
    }
    return batch;
  }

  /** Never throws. What fails together is tried one by one if something in it may be the reason. */
  private async write(batch: readonly Waiting[]): Promise<void> {
    try {
      const ids = await this.store(
        batch.map(({ refused }) => refused),
        (usage, bytes) => this.usage.hasRoom(usage, bytes),
      );
      for (const { refused, keep, reject } of batch) {
        const id = ids.get(keyOf(refused));
        if (id === undefined) reject(quarantineFullProblem());
        else keep(id);
      }
    } catch (error) {
      if (batch.length > 1 && isPossiblyDataError(error)) for (const each of batch) await this.write([each]);
      else for (const { reject } of batch) reject(error);
    }
  }

  /**
   * @returns the ids under which bodies are kept, by their keys; not of those for which there is no room. A body that mentions
   *   somebody who was erased after it had been received passes for kept
   */
  private async store(
    refused: readonly RejectedBody[],
    hasRoom: (usage: Usage, bodyBytes: number) => boolean,
  ): Promise<Map<string, string>> {
    return Connection.use(this.dataSource, async (connection) => {
      const kept = await connection.transaction(async () => {
        const before = await lockUsage(connection);
        await this.erasures.refreshWithin(connection);
        const erased = refused.filter(({ first_received_at, body }) =>
          this.erasures.matchesBody(first_received_at, body),
        );
        const bodies = mergeEqual(refused.filter((each) => !erased.includes(each)));
        const known = await connection.query<BodyKey>(FIND_BODIES, encodeColumns([...bodies.values()], BODY_KEY));
        const { admitted, after } = admit(bodies, new Set(known.map(keyOf)), before, hasRoom);
        type Row = BodyKey & { id: string };
        const rows = await connection.query<Row>(INSERT_BODIES, encodeColumns(admitted, REJECTED_BODY));
        return {
          rows: [...rows, ...erased],
          added: after.rows - before.rows,
          turnedAway: bodies.size - rows.length,
          after,
        };
      });
      this.usage.update(kept.after);
      this.tell(kept.turnedAway, kept.added);
      return new Map(kept.rows.map((row) => [keyOf(row), row.id]));
    });
  }

  /** Once, until there is room again: it may last. */
  private tell(turnedAway: number, added: number): void {
    if (turnedAway > 0 && !this.#isTurningAway)
      this.#logger.error('the quarantine is full: what must be refused is answered 503');
    if (turnedAway > 0 || added > 0) this.#isTurningAway = turnedAway > 0;
  }
}

async function lockUsage(connection: Connection): Promise<Usage> {
  const [row] = await connection.query<{ rows: string; bytes: string }>(LOCK_USAGE, []);
  if (!row) throw new Error('the database has lost its figures of the quarantine');
  return { rows: Number(row.rows), bytes: Number(row.bytes) };
}

/** Bodies that are there already need no room. */
function admit(
  bodies: ReadonlyMap<string, RejectedBody>,
  known: ReadonlySet<string>,
  before: Usage,
  hasRoom: (usage: Usage, bodyBytes: number) => boolean,
): { admitted: RejectedBody[]; after: Usage } {
  const admitted: RejectedBody[] = [];
  let after = before;
  for (const [key, refused] of bodies) {
    const { length } = refused.body;
    if (!known.has(key) && !hasRoom(after, length)) continue;
    if (!known.has(key)) after = { rows: after.rows + 1, bytes: after.bytes + length };
    admitted.push(refused);
  }
  return { admitted, after };
}
