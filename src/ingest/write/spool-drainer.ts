import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { canWrite } from '../../database/write-probe.js';
import { describeError, isDatabaseUnavailable, isPossiblyDataError } from '../../database/errors.js';
import { withTimeout } from '../../database/timeout.js';
import { NotificationBuffer } from './notification-buffer.js';
import { type Notification, parseNotification, type Receipt } from '../notification/notification.js';
import { QuarantineWriter } from '../quarantine/quarantine-writer.js';
import { Rejection, databaseRejection } from '../notification/rejection.js';
import type { Spooled } from '../spool/spool-reader.js';
import { Spool, SpoolError } from '../spool/spool.js';
import { type WriteObserver, Writer } from './writer.js';

const MAX_BATCH = 500;
const MAX_BATCH_BYTES = 4 * 1024 * 1024;
const LOOK_INTERVAL_MS = 100;
const MAX_PAUSE_MS = 1_000;

/** At the end PostgreSQL gets that long for the batch under way: one that hangs must not hold up the end. */
const END_LIMIT_MS = 1_000;

/**
 * Brings the spool to PostgreSQL, oldest first, while new notifications take the direct way. Nobody waits for it, so it waits
 * for PostgreSQL as long as the connection allows: one that is slow must not keep the spool from shrinking. What is drained stays in the
 * spool until it is committed: a process killed between the two drains it again, which changes nothing.
 *
 * A batch that fails, although PostgreSQL is there, is tried again by halves; what fails alone is passed over, stays in
 * the spool and is tried again after the others. So nothing in the spool can hold up the rest of it.
 */
@Injectable()
export class SpoolDrainer {
  readonly #logger = new Logger('Drainer');
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #batchSize = MAX_BATCH;
  #skippedKey: Buffer | undefined;
  #lastFault = '';

  constructor(
    private readonly spool: Spool,
    private readonly writer: Writer,
    private readonly quarantine: QuarantineWriter,
    private readonly buffer: NotificationBuffer,
    private readonly dataSource: DataSource,
  ) {}

  start(): void {
    this.#running = this.run();
  }

  /** Returns when the batch under way is done or given up; what is left stays in the spool for the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await withTimeout(END_LIMIT_MS, this.#running).catch(() => undefined);
  }

  private async run(): Promise<void> {
    let pauseMs = LOOK_INTERVAL_MS;
    while (!this.#stopping.signal.aborted) {
      const isMoving = await this.step();
      if (isMoving) pauseMs = LOOK_INTERVAL_MS;
      else {
        await this.spool.compactIfIdle();
        await sleep(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
        pauseMs = this.buffer.isSpooling ? Math.min(pauseMs * 2, MAX_PAUSE_MS) : LOOK_INTERVAL_MS;
      }
    }
  }

  /** @returns whether it is worth going on at once */
  private async step(): Promise<boolean> {
    let found: Spooled[] = [];
    try {
      found = this.spool.oldest({ count: this.#batchSize, bytes: MAX_BATCH_BYTES }, this.#skippedKey);
      if (found.length === 0) return await this.onSpoolEmpty();
      await this.drain(found);
      this.#batchSize = Math.min(this.#batchSize * 2, MAX_BATCH);
      this.#lastFault = '';
      return true;
    } catch (error) {
      this.logFault(error);
      if (isPossiblyDataError(error)) this.narrowDown(found);
      return false;
    }
  }

  private async onSpoolEmpty(): Promise<boolean> {
    this.#skippedKey = undefined;
    await this.spool.recover();
    // With nothing in the spool only a try can tell: at worst the next notifications come back into it.
    if (this.buffer.isSpooling && (await canWrite(this.dataSource))) this.buffer.resume();
    return false;
  }

  private narrowDown(found: readonly Spooled[]): void {
    this.#batchSize = Math.max(1, Math.floor(found.length / 2));
    if (found.length === 1) this.#skippedKey = found[0]?.key;
  }

  /** Once for each kind of trouble: it may last. That PostgreSQL is away was told when it began. */
  private logFault(error: unknown): void {
    const description = describeError(error);
    const fault = description.code ?? description.name;
    if (fault !== this.#lastFault && !isDatabaseUnavailable(error) && !(error instanceof SpoolError)) {
      this.#logger.error('notifications stay in the spool for now', { error: description });
    }
    this.#lastFault = fault;
  }

  private async drain(found: readonly Spooled[]): Promise<void> {
    const keys = new Map<Notification, Buffer>();
    const refusals: { key: Buffer; receipt: Receipt; refusal: Rejection }[] = [];
    const done: Buffer[] = [];
    for (const { key, record } of found) {
      const parsed = parseSpooled(record);
      if (parsed instanceof Rejection) refusals.push({ key, receipt: record.receipt, refusal: parsed });
      else keys.set(parsed, key);
    }
    const keyOf = (notification: Notification): Buffer => keys.get(notification) as Buffer;
    const report: WriteObserver = {
      onCaseLocked: (notification) => (this.#skippedKey = keyOf(notification)),
      onCommitted: (outcomes) => done.push(...[...outcomes.keys()].map(keyOf)),
      onRejected: (receipt, error) => {
        refusals.push({ key: keyOf(receipt), receipt, refusal: databaseRejection(receipt.body, error) });
      },
    };
    try {
      await this.writer.write([...keys.keys()], report);
      this.buffer.resume(); // before the spool is touched again: that may have troubles of its own
    } finally {
      await this.spool.remove(done);
      await this.quarantine.keepAcknowledged(refusals);
      await this.spool.remove(refusals.map(({ key }) => key));
    }
  }
}

/** An accepted body is parsed again by the current rules; a rejected one keeps its rejection. */
function parseSpooled({ receipt, body, refusal }: Spooled['record']): Notification | Rejection {
  return refusal
    ? new Rejection(refusal.reason, refusal.message, body, refusal.errors)
    : parseNotification(receipt, body);
}
