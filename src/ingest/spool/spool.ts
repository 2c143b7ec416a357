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

/** A disk that takes longer takes nothing, as far as a sender can wait. */
const COMMIT_LIMIT_MS = 5_000;
const RETRY_PAUSE_MS = 1_000;

/** What is carried over at once: an `append` may wait for it. */
const CARRY_LIMITS = { count: 500, bytes: 1024 * 1024 };

/** For so long together it is waited for commits to a volume that was closed under them. */
const MAX_LOOKS = 100;
const LOOK_PAUSE_MS = 50;

/** So little is carried over by itself, for the sake of what was removed beside it. */
const MAX_AUTO_COMPACT_BYTES = 4 * 1024 * 1024;

/** Of the room: what senders of refused bodies may take of it, so that a wild one shuts out no valid notification. */
const SHARE_OF_REFUSED = 0.1;

/** Written and removed again in one transaction, to see whether the disk takes anything. */
const PROBE = Buffer.from('probe');

/** The spool takes nothing just now. */
export class SpoolError extends Error {
  override readonly name = 'SpoolError';

  constructor(readonly condition: Exclude<SpoolCondition, 'ok'>) {
    super(`the spool is ${condition}`);
  }
}

/**
 * Deliveries on local disk that PostgreSQL could not take yet, in order of receipt: LMDB environments in `DATA_DIR/spool`, of at
 * most `SPOOL_MAX_BYTES` together. What `append` has accepted survives the process and the machine; what was removed is soon
 * found in none of the files any more.
 *
 * Any number of processes may share it: each drains what it finds, and what two of them drain is written once.
 */
@Injectable()
export class Spool {
  readonly #logger = new Logger('Spool');
  readonly #folder: SpoolDirectory;
  readonly #maxBytes: number;
  readonly #reader: SpoolReader;
  #condition: SpoolCondition = 'unwritable';
  #retryAt = 0;
  #underWayBytes = 0;
  /** Of refused bodies that may still be here. At the start all that is here may be such. */
  #refusedBytes = Infinity;
  #tidyAt = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(@Inject(CONFIG) config: Config) {
    this.#folder = new SpoolDirectory(path.join(config.dataDir, 'spool'));
    this.#reader = new SpoolReader(this.#folder);
    this.#maxBytes = config.spoolMaxBytes;
  }

  /** Opens the spool. Whatever is wrong with it is logged and no reason not to start: PostgreSQL may be all that is needed. */
  async open(): Promise<void> {
    try {
      for (const aside of await this.#folder.open()) {
        this.#logger.error('the spool was damaged and is set aside: what it holds is not in PostgreSQL', { aside });
      }
      await this.#folder.current();
      this.#condition = 'ok';
    } catch (error) {
      if (this.#retryAt === 0) this.#logger.error('the spool cannot be used', { error: describeError(error) });
      this.#retryAt = performance.now() + RETRY_PAUSE_MS;
    }
  }

  /** Looks whether what was wrong has been put right. To be called now and then while nothing else is asked of the spool. */
  async recover(): Promise<void> {
    if (this.#condition === 'ok' || performance.now() < this.#retryAt) return;
    if (!this.#folder.isOpen) return this.open();
    if (this.usage().bytes < this.#maxBytes) {
      await this.write(0, 0, (file) => [file.put(PROBE, PROBE), file.remove(PROBE)]).catch(() => undefined);
    }
  }

  get report(): { condition: SpoolCondition; notifications: number; bytes: number; maxBytes: number } {
    const { entryCount, bytes } = this.usage();
    return { condition: this.#condition, notifications: entryCount, bytes, maxBytes: this.#maxBytes };
  }

  /**
   * Keeps deliveries, all of them or none. Returns when they are on the disk; one that is kept already is not kept twice.
   *
   * @throws SpoolError if there is no room for them, or the disk does not take them; Problem `quarantine_full` if there is none
   *   for refused ones
   */
  async append(records: readonly SpoolRecord[]): Promise<void> {
    if (!this.#folder.isOpen) throw new SpoolError('unwritable');
    const entries = encode(records);
    const added = bytesOf(entries);
    if (this.usage().bytes + added > this.#maxBytes) this.fail('full');
    if (records.some(({ rejection }) => rejection)) this.takeShareOfRefused(added);
    this.#underWayBytes += added;
    try {
      await this.write(entries.length, added, (file) => entries.map(async ([key, value]) => file.put(key, value)));
    } finally {
      this.#underWayBytes -= added;
    }
  }

  /** Those that were drained are not counted back one by one: there are never more than all that is here. */
  private takeShareOfRefused(added: number): void {
    this.#refusedBytes = Math.min(this.#refusedBytes, this.usage().bytes + this.#underWayBytes);
    if (this.#refusedBytes + added > SHARE_OF_REFUSED * this.#maxBytes) throw quarantineFullProblem();
    this.#refusedBytes += added;
  }

  /** The oldest ones behind a key, or of all, up to a number and about so many bytes; at least one if there is one. */
  oldest(limits: Limits, behind?: Buffer): Spooled[] {
    return this.#reader.oldest(limits, behind);
  }

  /** @throws SpoolError if the disk does not take it: they will be drained again, which is harmless */
  async remove(keys: readonly Buffer[]): Promise<void> {
    if (keys.length === 0) return;
    await this.inTurn(async () => {
      for (const volume of this.#folder.volumes) await this.removeFrom(volume, keys);
    });
  }

  /**
   * Returns when nothing that was removed is in the files any more. What is left is carried over into a new volume, for which
   * the disk must have room.
   *
   * @throws SpoolError if that cannot be done now: nothing is lost, and what was removed may still be found
   */
  async compactAll(): Promise<void> {
    await this.replace(() => true, MAX_LOOKS);
  }

  /** The same for what was emptied, or nearly so, without being asked. To be called now and then. */
  async compactIfIdle(): Promise<void> {
    if (!this.#folder.isOpen || performance.now() < this.#tidyAt) return;
    try {
      await this.inTurn(async () => this.#folder.tidy());
      const little = this.#folder.volumes.find((volume) => volume.hasDeletedBytes && volume.isQuiet && isSmall(volume));
      if (little) await this.replace((volume) => volume === little, 1);
    } catch {
      this.#tidyAt = performance.now() + RETRY_PAUSE_MS; // an append would tell what is wrong
    }
  }

  async close(): Promise<void> {
    await this.inTurn(async () => this.#folder.end());
  }

  private async replace(isMeant: (volume: SpoolVolume) => boolean, looks: number): Promise<void> {
    const closed = await this.inTurn(async () => this.#folder.close(isMeant)).catch((error: unknown) => {
      throw new SpoolError(isDiskFull(error) ? 'full' : 'unwritable');
    });
    for (const volume of closed) await this.empty(volume, looks);
  }

  private async empty(volume: SpoolVolume, looks: number): Promise<void> {
    for (let left = looks; left > 0; left -= 1) {
      while (await this.inTurn(async () => this.carryOver(volume)));
      await this.inTurn(async () => this.#folder.deleteEmptied());
      if (!this.#folder.holds(volume)) return;
      await sleep(LOOK_PAUSE_MS); // a commit under way, which may still come into it
    }
    throw new SpoolError('unwritable');
  }

  /** Each record is in one of the two all the while. @returns whether there was any */
  private async carryOver(volume: SpoolVolume): Promise<boolean> {
    const found = this.#folder.holds(volume) ? this.#reader.page(volume, CARRY_LIMITS) : [];
    if (found.length === 0) return false;
    const entries = encode(found.map(({ record }) => record));
    await this.write(entries.length, bytesOf(entries), (file) =>
      entries.map(async ([key, value]) => file.put(key, value)),
    );
    await this.removeFrom(
      volume,
      found.map(({ key }) => key),
    );
    return true;
  }

  private async removeFrom(volume: SpoolVolume, keys: readonly Buffer[]): Promise<void> {
    const held = keys.filter((key) => volume.has(key));
    if (held.length === 0) return;
    volume.hasDeletedBytes = true;
    await this.commit(volume, (file) => held.map(async (key) => file.remove(key)));
  }

  /** One after the other, in this process: what removes, moves or deletes. */
  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** Commits what adds to the spool, once the disk has room for it; again elsewhere if the volume was closed meanwhile. */
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
      return await withTimeout(COMMIT_LIMIT_MS, this.#folder.current());
    } catch (error) {
      return this.failFor(error);
    }
  }

  private async writeTo(volume: SpoolVolume, records: number, bytes: number, changes: Changes): Promise<void> {
    await volume.using(async () => {
      const failure: unknown = await volume.makeRoom(records, bytes).catch((error: unknown) => error);
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

  /** A disk that took nothing a moment ago is not asked again for every notification. */
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
    const stats = this.#folder.volumes.map((volume) => volume.stats);
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
