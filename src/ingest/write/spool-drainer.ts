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
const POLL_INTERVAL_MS = 100;
const MAX_PAUSE_MS = 1_000;

/** At a shutdown the batch in progress gets this long: a PostgreSQL that hangs must not delay the shutdown. */
const STOP_LIMIT_MS = 1_000;

/**
 * Moves the spool to PostgreSQL, oldest first. New notifications do not wait for it.
 *
 * - *Draining*: while the spool has records, batch follows batch. No client waits for them, so only the limits of the
 *   connection apply, and a slow PostgreSQL does not keep the spool from shrinking.
 * - *Idle*: the spool is empty. The drainer polls it, compacts it, and ends *spooling* of the buffer once PostgreSQL accepts
 *   a write.
 * - *Failing*: after a failed batch the drainer pauses. If a record may be the cause, it retries with half of the batch. A
 *   record that fails alone is skipped, and retried after the others, so it holds up no other record.
 *
 * A record stays in the spool until its commit. If the process is killed in between, the next drain changes nothing.
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

  /** Returns when the batch in progress is done or given up. The rest stays in the spool for the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await withTimeout(STOP_LIMIT_MS, this.#running).catch(() => undefined);
  }

  private async run(): Promise<void> {
    let pauseMs = POLL_INTERVAL_MS;
    while (!this.#stopping.signal.aborted) {
      const hasDrained = await this.step();
      if (hasDrained) pauseMs = POLL_INTERVAL_MS;
      else {
        await this.spool.compactIfIdle();
        await sleep(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
        pauseMs = this.buffer.isSpooling ? Math.min(pauseMs * 2, MAX_PAUSE_MS) : POLL_INTERVAL_MS;
      }
    }
  }

  /** @returns true if the next step should follow without a pause */
  private async step(): Promise<boolean> {
    let batch: Spooled[] = [];
    try {
      batch = this.spool.oldest({ count: this.#batchSize, bytes: MAX_BATCH_BYTES }, this.#skippedKey);
      if (batch.length === 0) return await this.onSpoolEmpty();
      await this.drain(batch);
      this.#batchSize = Math.min(this.#batchSize * 2, MAX_BATCH);
      this.#lastFault = '';
      return true;
    } catch (error) {
      this.logFault(error);
      if (isPossiblyDataError(error)) this.narrowDown(batch);
      return false;
    }
  }

  private async onSpoolEmpty(): Promise<boolean> {
    this.#skippedKey = undefined;
    await this.spool.recover();
    // An empty spool gives no batch to try, so probe PostgreSQL. If the probe is wrong, the next batch is spooled again.
    if (this.buffer.isSpooling && (await canWrite(this.dataSource))) this.buffer.resume();
    return false;
  }

  private narrowDown(batch: readonly Spooled[]): void {
    this.#batchSize = Math.max(1, Math.floor(batch.length / 2));
    if (batch.length === 1) this.#skippedKey = batch[0]?.key;
  }

  /** Logs each kind of fault once until a batch succeeds. The buffer and the spool log their own faults. */
  private logFault(error: unknown): void {
    const description = describeError(error);
    const fault = description.code ?? description.name;
    if (fault !== this.#lastFault && !isDatabaseUnavailable(error) && !(error instanceof SpoolError)) {
      this.#logger.error('draining the spool failed, will retry', { error: description });
    }
    this.#lastFault = fault;
  }

  private async drain(batch: readonly Spooled[]): Promise<void> {
    const keys = new Map<Notification, Buffer>();
    const rejections: { key: Buffer; receipt: Receipt; rejection: Rejection }[] = [];
    const done: Buffer[] = [];
    for (const { key, record } of batch) {
      const parsed = parseRecord(record);
      if (parsed instanceof Rejection) rejections.push({ key, receipt: record.receipt, rejection: parsed });
      else keys.set(parsed, key);
    }
    const keyOf = (notification: Notification): Buffer => keys.get(notification) as Buffer;
    const observer: WriteObserver = {
      onCaseLocked: (notification) => (this.#skippedKey = keyOf(notification)),
      onCommitted: (outcomes) => done.push(...[...outcomes.keys()].map(keyOf)),
      onRejected: (receipt, error) => {
        rejections.push({ key: keyOf(receipt), receipt, rejection: databaseRejection(receipt.body, error) });
      },
    };
    try {
      await this.writer.write([...keys.keys()], observer);
      this.buffer.resume(); // PostgreSQL accepts writes, even if the spool fails next
    } finally {
      await this.spool.remove(done);
      await this.quarantine.keepAcknowledged(rejections);
      await this.spool.remove(rejections.map(({ key }) => key));
    }
  }
}

/** Parses an accepted body again, by the current rules. A rejected body keeps its rejection. */
function parseRecord({ receipt, body, rejection }: Spooled['record']): Notification | Rejection {
  if (!rejection) return parseNotification(receipt, body);
  return new Rejection(rejection.reason, rejection.message, body, rejection.errors);
}
