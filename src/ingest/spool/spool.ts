import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { CONFIG, type Config } from '../../config/config.js';
import { describeError } from '../../database/errors.js';
import { withTimeout } from '../../database/timeout.js';
import type { SpoolCondition } from '../../metrics/ingest-status.js';
import { quarantineFullProblem } from '../notification/rejection.js';
import { SpoolDirectory } from './spool-directory.js';
import { type Limits, type Spooled, SpoolReader } from './spool-reader.js';
import { encodeKey, encodeValue, type SpoolRecord } from './spool-record.js';
import { isDiskFull } from './disk-reservation.js';
import { bytesInUse, type Changes, type SpoolVolume } from './spool-volume.js';

/** A commit that takes longer counts as failed: the client waits. */
const COMMIT_LIMIT_MS = 5_000;
const RETRY_PAUSE_MS = 1_000;

/** Limits of one step of a compaction: an `append` may wait for it. */
const MOVE_LIMITS = { count: 500, bytes: 1024 * 1024 };

/** How often a compaction checks for commits that were in flight when the volume was sealed. */
const MAX_CHECKS = 100;
const CHECK_PAUSE_MS = 50;

/** Volumes with at most this many live bytes are compacted automatically, to erase deleted records. */
const MAX_AUTO_COMPACT_BYTES = 4 * 1024 * 1024;

/** The share of the spool for rejected bodies: a faulty client must leave space for valid notifications. */
const REJECTED_SHARE = 0.1;

/** Written and removed in one transaction, to test the disk. */
const PROBE = Buffer.from('probe');

/** The spool accepts no records at the moment. */
export class SpoolError extends Error {
  override readonly name = 'SpoolError';

  constructor(readonly condition: Exclude<SpoolCondition, 'ok'>) {
    super(`the spool is ${condition}`);
  }
}

/**
 * Deliveries on local disk that wait for PostgreSQL, in order of receipt: LMDB environments in `DATA_DIR/spool`, of at most
 * `SPOOL_MAX_BYTES` together.
 *
 * - *ok*: `append` accepts records.
 * - *full*: the next record exceeds `SPOOL_MAX_BYTES`, or the disk is full. Draining frees space, and `recover` probes it.
 * - *unwritable*: opening the spool or a commit failed. `append` fails at once for `RETRY_PAUSE_MS`; then the next commit
 *   or `recover` retries.
 *
 * A record that `append` has accepted survives a crash of the process and of the machine. The bytes of a removed record leave
 * the files soon. Processes may share a spool: each drains all of it, and a record that two of them drain is written once.
 */
@Injectable()
export class Spool {
  readonly #logger = new Logger('Spool');
  readonly #directory: SpoolDirectory;
  readonly #maxBytes: number;
  readonly #reader: SpoolReader;
  #condition: SpoolCondition = 'unwritable';
  #retryAt = 0;
  #pendingBytes = 0;
  /** An upper bound of the bytes of rejected bodies. At the start all records may be rejected bodies. */
  #rejectedBytes = Infinity;
  #compactAt = 0;
  #lastTask: Promise<unknown> = Promise.resolve();

  constructor(@Inject(CONFIG) config: Config) {
    this.#directory = new SpoolDirectory(path.join(config.dataDir, 'spool'));
    this.#reader = new SpoolReader(this.#directory);
    this.#maxBytes = config.spoolMaxBytes;
  }

  /** Opens the spool. Only logs a failure: the service can run without a spool while PostgreSQL is available. */
  async open(): Promise<void> {
    try {
      for (const corruptedPath of await this.#directory.open()) {
        this.#logger.error('corrupted spool moved aside; its notifications are not in PostgreSQL', {
          path: corruptedPath,
        });
      }
      await this.#directory.current();
      this.#condition = 'ok';
    } catch (error) {
      if (this.#retryAt === 0) this.#logger.error('spool unavailable', { error: describeError(error) });
      this.#retryAt = performance.now() + RETRY_PAUSE_MS;
    }
  }

  /** Retries after a failure. The drainer calls it periodically while the spool is empty. */
  async recover(): Promise<void> {
    if (this.#condition === 'ok' || performance.now() < this.#retryAt) return;
    if (!this.#directory.isOpen) return this.open();
    if (this.usage().bytes < this.#maxBytes) {
      await this.write(0, 0, (file) => [file.put(PROBE, PROBE), file.remove(PROBE)]).catch(() => undefined);
    }
  }

  get report(): { condition: SpoolCondition; notifications: number; bytes: number; maxBytes: number } {
    const { entryCount, bytes } = this.usage();
    return { condition: this.#condition, notifications: entryCount, bytes, maxBytes: this.#maxBytes };
  }

  /**
   * Stores deliveries, all of them or none. Returns when they are synced to disk. Stores equal deliveries once.
   *
   * @throws SpoolError if the spool or the disk is full, or the disk fails; Problem `quarantine_full` if the share of rejected
   *   bodies is full
   */
  async append(records: readonly SpoolRecord[]): Promise<void> {
    if (!this.#directory.isOpen) throw new SpoolError('unwritable');
    const entries = encode(records);
    const added = bytesOf(entries);
    if (this.usage().bytes + added > this.#maxBytes) this.fail('full');
    if (records.some(({ rejection }) => rejection)) this.reserveRejectedShare(added);
    this.#pendingBytes += added;
    try {
      await this.write(entries.length, added, (file) => entries.map(async ([key, value]) => file.put(key, value)));
    } finally {
      this.#pendingBytes -= added;
    }
  }

  /** Does not count drained bodies back: the usage of the whole spool is an upper bound. */
  private reserveRejectedShare(added: number): void {
    this.#rejectedBytes = Math.min(this.#rejectedBytes, this.usage().bytes + this.#pendingBytes);
    if (this.#rejectedBytes + added > REJECTED_SHARE * this.#maxBytes) throw quarantineFullProblem();
    this.#rejectedBytes += added;
  }

  /** Reads the oldest records, or the oldest after a key, within the limits. Returns at least one if there is one. */
  oldest(limits: Limits, after?: Buffer): Spooled[] {
    return this.#reader.oldest(limits, after);
  }

  /** @throws SpoolError if the disk fails: the records are drained again, which is harmless */
  async remove(keys: readonly Buffer[]): Promise<void> {
    if (keys.length === 0) return;
    await this.serialize(async () => {
      for (const volume of this.#directory.volumes) await this.removeFrom(volume, keys);
    });
  }

  /**
   * Erases the bytes of removed records from the files: moves all other records to a new volume, and deletes the old ones.
   * The disk must have space for the new volume.
   *
   * @throws SpoolError if it fails: nothing is lost, and removed bytes may still be in the files
   */
  async compactAll(): Promise<void> {
    await this.replace(() => true, MAX_CHECKS);
  }

  /** Compacts emptied and nearly emptied volumes. The drainer calls it periodically. */
  async compactIfIdle(): Promise<void> {
    if (!this.#directory.isOpen || performance.now() < this.#compactAt) return;
    try {
      await this.serialize(async () => this.#directory.tidy());
      const small = this.#directory.volumes.find(
        (volume) => volume.hasDeletedBytes && volume.isQuiet && isSmall(volume),
      );
      if (small) await this.replace((volume) => volume === small, 1);
    } catch {
      this.#compactAt = performance.now() + RETRY_PAUSE_MS; // the next append logs the failure
    }
  }

  async close(): Promise<void> {
    await this.serialize(async () => this.#directory.end());
  }

  private async replace(isSelected: (volume: SpoolVolume) => boolean, checks: number): Promise<void> {
    const sealed = await this.serialize(async () => this.#directory.close(isSelected)).catch((error: unknown) => {
      throw new SpoolError(isDiskFull(error) ? 'full' : 'unwritable');
    });
    for (const volume of sealed) await this.empty(volume, checks);
  }

  private async empty(volume: SpoolVolume, checks: number): Promise<void> {
    for (let left = checks; left > 0; left -= 1) {
      while (await this.serialize(async () => this.moveRecords(volume)));
      await this.serialize(async () => this.#directory.deleteEmptied());
      if (!this.#directory.holds(volume)) return;
      await sleep(CHECK_PAUSE_MS); // a commit in flight may still add to the volume
    }
    throw new SpoolError('unwritable');
  }

  /** Each record is in at least one of the two volumes at any time. @returns whether there was any record */
  private async moveRecords(volume: SpoolVolume): Promise<boolean> {
    const records = this.#directory.holds(volume) ? this.#reader.page(volume, MOVE_LIMITS) : [];
    if (records.length === 0) return false;
    const entries = encode(records.map(({ record }) => record));
    await this.write(entries.length, bytesOf(entries), (file) =>
      entries.map(async ([key, value]) => file.put(key, value)),
    );
    await this.removeFrom(
      volume,
      records.map(({ key }) => key),
    );
    return true;
  }

  private async removeFrom(volume: SpoolVolume, keys: readonly Buffer[]): Promise<void> {
    const present = keys.filter((key) => volume.has(key));
    if (present.length === 0) return;
    volume.hasDeletedBytes = true;
    await this.commit(volume, (file) => present.map(async (key) => file.remove(key)));
  }

  /** Runs tasks that remove, move or delete records one after the other. */
  private async serialize<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#lastTask.then(work);
    this.#lastTask = result.catch(() => undefined);
    return result;
  }

  /** Reserves disk space and commits. Repeats it in another volume if this one was sealed meanwhile. */
  private async write(records: number, bytes: number, changes: Changes): Promise<void> {
    let volume: SpoolVolume;
    do {
      volume = await this.current();
      await this.writeTo(volume, records, bytes, changes);
    } while (!volume.isInPlace);
  }

  private async current(): Promise<SpoolVolume> {
    this.checkDisk();
    try {
      return await withTimeout(COMMIT_LIMIT_MS, this.#directory.current());
    } catch (error) {
      return this.failFor(error);
    }
  }

  private async writeTo(volume: SpoolVolume, records: number, bytes: number, changes: Changes): Promise<void> {
    await volume.using(async () => {
      const failure: unknown = await volume.reserveDiskSpace(records, bytes).catch((error: unknown) => error);
      if (!volume.isInPlace) return;
      if (failure) this.failFor(failure);
      await this.commit(volume, changes);
    });
  }

  private async commit(volume: SpoolVolume, changes: Changes): Promise<void> {
    this.checkDisk();
    try {
      await withTimeout(COMMIT_LIMIT_MS, volume.commit(changes));
      this.#condition = 'ok';
    } catch (error) {
      this.fail('unwritable', error);
    }
  }

  /** Fails at once during the pause after a failure, so that not every notification waits for a failing disk. */
  private checkDisk(): void {
    if (this.#condition === 'unwritable' && performance.now() < this.#retryAt) throw new SpoolError('unwritable');
  }

  private failFor(error: unknown): never {
    return this.fail(isDiskFull(error) ? 'full' : 'unwritable', error);
  }

  private fail(condition: SpoolError['condition'], error?: unknown): never {
    if (this.#condition !== condition) {
      this.#logger.error(`the spool is ${condition}`, error === undefined ? {} : { error: describeError(error) });
    }
    this.#condition = condition;
    this.#retryAt = performance.now() + RETRY_PAUSE_MS;
    throw new SpoolError(condition);
  }

  private usage(): { entryCount: number; bytes: number } {
    const stats = this.#directory.volumes.map((volume) => volume.stats);
    return {
      entryCount: stats.reduce((sum, { entryCount }) => sum + entryCount, 0),
      bytes: stats.reduce((sum, each) => sum + bytesInUse(each), 0),
    };
  }
}

type Entry = readonly [key: Buffer, value: Buffer];

function encode(records: readonly SpoolRecord[]): Entry[] {
  return records.map((record) => [encodeKey(record.receipt), encodeValue(record)]);
}

function bytesOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
}

function isSmall({ stats }: SpoolVolume): boolean {
  return stats.entryCount > 0 && bytesInUse(stats) <= MAX_AUTO_COMPACT_BYTES;
}
