import { Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Connection } from '../../database/connection.js';
import { isPossiblyDataError } from '../../database/errors.js';
import { GroupCommit } from '../../database/group-commit.js';
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

/** The caller spools the body if the write takes longer: the client waits. */
const LIMIT_MS = 700;

interface Entry {
  readonly rejected: RejectedBody;
  readonly resolve: (id: string) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Stores rejected bodies as received, so that operators can inspect and replay them. `QUARANTINE_MAX_ROWS` and
 * `QUARANTINE_MAX_BYTES` bound their size, so that a faulty client cannot fill the disk.
 *
 * Group commit: any number of rejected bodies takes one connection of the ingest pool, and delays no valid notification.
 */
@Injectable()
export class QuarantineWriter {
  readonly #logger = new Logger('Quarantine');
  readonly #queue = new GroupCommit<Entry>(async (entries) => this.write(entries), {
    count: MAX_BATCH,
    bytes: MAX_BATCH_BYTES,
    bytesOf: ({ rejected }) => rejected.body.length,
  });
  #isFull = false;

  constructor(
    private readonly dataSource: DataSource,
    private readonly usage: QuarantineUsage,
    private readonly erasures: ErasureFilter,
  ) {}

  /** By the last usage that this process read. It may be old while PostgreSQL is unavailable. */
  hasRoomFor(body: Buffer): boolean {
    return !this.usage.latest || this.usage.hasRoom(this.usage.latest, body.length);
  }

  /**
   * @returns the id of the body in the quarantine; for equal bytes that of their first receipt
   * @throws Problem `quarantine_full`, the error of PostgreSQL, or TimeoutError. After an error the body may or may not be
   *   stored, so the response must not be the rejection
   */
  async keep(receipt: Receipt, rejection: Rejection): Promise<string> {
    const rejected = toRejectedBody(receipt, rejection);
    let entry: Entry | undefined;
    const stored = new Promise<string>((resolve, reject) => {
      this.#queue.add((entry = { rejected, resolve, reject }));
    });
    try {
      return await withTimeout(LIMIT_MS, stored);
    } finally {
      if (entry) this.#queue.remove(entry); // after a timeout: admission control no longer counts its bytes
    }
  }

  /** Stores bodies whose rejection was sent before, such as spooled ones. The limits do not apply to them. */
  async keepAcknowledged(bodies: readonly { receipt: Receipt; rejection: Rejection }[]): Promise<void> {
    if (bodies.length > 0) {
      await this.store(
        bodies.map(({ receipt, rejection }) => toRejectedBody(receipt, rejection)),
        () => true,
      );
    }
  }

  /** Never throws. If a batch fails and one of its bodies may be the cause, each body is written alone. */
  private async write(batch: readonly Entry[]): Promise<void> {
    try {
      const ids = await this.store(
        batch.map(({ rejected }) => rejected),
        (usage, bytes) => this.usage.hasRoom(usage, bytes),
      );
      for (const { rejected, resolve, reject } of batch) {
        const id = ids.get(keyOf(rejected));
        if (id === undefined) reject(quarantineFullProblem());
        else resolve(id);
      }
    } catch (error) {
      if (batch.length > 1 && isPossiblyDataError(error)) for (const entry of batch) await this.write([entry]);
      else for (const { reject } of batch) reject(error);
    }
  }

  /**
   * @returns the ids of the stored bodies, by their keys; no id for a body that exceeds the limits. A body that an erasure
   *   matches has an id too, but is not stored
   */
  private async store(
    rejected: readonly RejectedBody[],
    hasRoom: (usage: Usage, bodyBytes: number) => boolean,
  ): Promise<Map<string, string>> {
    return Connection.use(this.dataSource, async (connection) => {
      const result = await connection.transaction(async () => {
        const before = await lockUsage(connection);
        await this.erasures.refreshWithin(connection);
        const erased = rejected.filter(({ first_received_at, body }) =>
          this.erasures.matchesBody(first_received_at, body),
        );
        const bodies = mergeEqual(rejected.filter((each) => !erased.includes(each)));
        const stored = await connection.query<BodyKey>(FIND_BODIES, encodeColumns([...bodies.values()], BODY_KEY));
        const { admitted, after } = admit(bodies, new Set(stored.map(keyOf)), before, hasRoom);
        type Row = BodyKey & { id: string };
        const rows = await connection.query<Row>(INSERT_BODIES, encodeColumns(admitted, REJECTED_BODY));
        return {
          rows: [...rows, ...erased],
          added: after.rows - before.rows,
          dropped: bodies.size - rows.length,
          after,
        };
      });
      this.usage.update(result.after);
      this.logIfFull(result.dropped, result.added);
      return new Map(result.rows.map((row) => [keyOf(row), row.id]));
    });
  }

  /** Logs once, until a body is stored again. */
  private logIfFull(dropped: number, added: number): void {
    if (dropped > 0 && !this.#isFull) this.#logger.error('quarantine full, answering 503 to invalid notifications');
    if (dropped > 0 || added > 0) this.#isFull = dropped > 0;
  }
}

async function lockUsage(connection: Connection): Promise<Usage> {
  const [row] = await connection.query<{ rows: string; bytes: string }>(LOCK_USAGE, []);
  if (!row) throw new Error('table quarantine_usage has no row');
  return { rows: Number(row.rows), bytes: Number(row.bytes) };
}

/** Selects the bodies that the limits allow. Bodies that are stored already need no space. */
function admit(
  bodies: ReadonlyMap<string, RejectedBody>,
  storedKeys: ReadonlySet<string>,
  before: Usage,
  hasRoom: (usage: Usage, bodyBytes: number) => boolean,
): { admitted: RejectedBody[]; after: Usage } {
  const admitted: RejectedBody[] = [];
  let after = before;
  for (const [key, rejected] of bodies) {
    const { length } = rejected.body;
    if (!storedKeys.has(key) && !hasRoom(after, length)) continue;
    if (!storedKeys.has(key)) after = { rows: after.rows + 1, bytes: after.bytes + length };
    admitted.push(rejected);
  }
  return { admitted, after };
}
