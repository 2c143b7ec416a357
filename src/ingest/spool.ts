import path from 'node:path';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { describeError } from '../database/errors.js';
import { within } from '../database/within.js';
import type { SpoolCondition } from '../operations/door-state.js';
import { SpoolFolder } from './spool-folder.js';
import { decodeRecord, encodeKey, encodeValue, type SpoolRecord } from './spool-record.js';
import { isDiskFull } from './spool-space.js';
import { bytesInUse, type Changes, type SpoolVolume } from './spool-volume.js';

/** A disk that takes longer takes nothing, as far as a sender can wait. */
const COMMIT_LIMIT_MS = 5_000;
const RETRY_PAUSE_MS = 1_000;

/** What is carried over at once: an `append` may wait for it. */
const CARRY_LIMITS = { count: 500, bytes: 1024 * 1024 };

/** So little is carried over by itself, for the sake of what was removed beside it. */
const LITTLE_BYTES = 4 * 1024 * 1024;

/** Written and removed again in one transaction, to see whether the disk takes anything. */
const PROBE = Buffer.from('probe');

/** The spool takes nothing just now. */
export class SpoolError extends Error {
  override readonly name = 'SpoolError';

  constructor(readonly condition: Exclude<SpoolCondition, 'ok'>) {
    super(`the spool is ${condition}`);
  }
}

export interface Spooled {
  readonly key: Buffer;
  readonly record: SpoolRecord;
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
  readonly #folder: SpoolFolder;
  readonly #maxBytes: number;
  readonly #damaged = new Set<string>();
  #condition: SpoolCondition = 'unwritable';
  #retryAt = 0;
  #tidyAt = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(@Inject(CONFIG) config: Config) {
    this.#folder = new SpoolFolder(path.join(config.dataDir, 'spool'));
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
   * @throws SpoolError if there is no room for them, or the disk does not take them
   */
  async append(records: readonly SpoolRecord[]): Promise<void> {
    if (!this.#folder.isOpen) throw new SpoolError('unwritable');
    const entries = records.map((record) => [encodeKey(record.receipt), encodeValue(record)] as const);
    const added = entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
    if (this.usage().bytes + added > this.#maxBytes) this.fail('full');
    await this.write(entries.length, added, (file) => entries.map(async ([key, value]) => file.put(key, value)));
  }

  /** The oldest ones behind a key, or of all, up to a number and about so many bytes; at least one if there is one. */
  oldest(limits: Limits, behind?: Buffer): Spooled[] {
    const found: Spooled[] = [];
    let bytes = 0;
    const pages = this.#folder.volumes.flatMap((volume) => this.page(volume, limits, behind));
    for (const each of pages.sort((a, b) => a.key.compare(b.key))) {
      if (found.at(-1)?.key.equals(each.key)) continue; // one that is being carried over
      bytes += each.record.body.length;
      if (found.length === limits.count || (found.length > 0 && bytes > limits.bytes)) break;
      found.push(each);
    }
    return found;
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
   * @throws SpoolError if the disk does not take it: nothing is lost, and what was removed may still be found
   */
  async scrub(): Promise<void> {
    if (!this.#folder.isOpen) return;
    const closed = await this.inTurn(async () => this.#folder.closeAll()).catch((error: unknown) => {
      throw new SpoolError(isDiskFull(error) ? 'full' : 'unwritable');
    });
    for (const volume of closed) await this.carryOver(volume);
    await this.inTurn(async () => this.#folder.deleteEmptied());
  }

  /** The same for what was emptied, or nearly so, without being asked. To be called now and then. */
  async tidy(): Promise<void> {
    if (!this.#folder.isOpen || performance.now() < this.#tidyAt) return;
    try {
      await this.inTurn(async () => this.#folder.tidy());
      const volume = this.#folder.volumes.find((each) => each.isStained && each.isQuiet && isLittle(each));
      if (volume) await this.scrub();
    } catch {
      this.#tidyAt = performance.now() + RETRY_PAUSE_MS; // an append would tell what is wrong
    }
  }

  async close(): Promise<void> {
    await this.inTurn(async () => this.#folder.end());
  }

  /** What a volume has behind a key: at least as much as the limits allow, if there is so much. */
  private page(volume: SpoolVolume, limits: Limits, behind?: Buffer): Spooled[] {
    const found: Spooled[] = [];
    let bytes = 0;
    for (const { key, value } of volume.entries(behind)) {
      if (found.length > limits.count || bytes > limits.bytes) break;
      const record = this.decode(key, value);
      if (!record) continue;
      found.push({ key: Buffer.from(key), record });
      bytes += record.body.length;
    }
    return found;
  }

  /** A record that was damaged since the start stays where it is: the next start sets the spool aside. */
  private decode(key: Buffer, value: Buffer): SpoolRecord | undefined {
    try {
      return decodeRecord(key, value);
    } catch {
      const name = key.toString('hex');
      if (!this.#damaged.has(name)) this.#logger.error('a record of the spool is damaged');
      this.#damaged.add(name);
      return undefined;
    }
  }

  /** Each record is in one of the two all the while. */
  private async carryOver(volume: SpoolVolume): Promise<void> {
    let isMoving = true;
    while (isMoving) {
      isMoving = await this.inTurn(async () => {
        const found = this.page(volume, CARRY_LIMITS);
        if (found.length === 0) return false;
        const entries = found.map(({ key, record }) => [key, encodeValue(record)] as const);
        const bytes = entries.reduce((sum, [, value]) => sum + value.length, 0);
        await this.write(entries.length, bytes, (file) => entries.map(async ([key, value]) => file.put(key, value)));
        await this.removeFrom(
          volume,
          found.map(({ key }) => key),
        );
        return true;
      });
    }
  }

  private async removeFrom(volume: SpoolVolume, keys: readonly Buffer[]): Promise<void> {
    const held = keys.filter((key) => volume.has(key));
    if (held.length === 0) return;
    volume.isStained = true;
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
      return await within(COMMIT_LIMIT_MS, this.#folder.current());
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
      await within(COMMIT_LIMIT_MS, volume.commit(changes));
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

interface Limits {
  readonly count: number;
  readonly bytes: number;
}

function isLittle({ stats }: SpoolVolume): boolean {
  return stats.entryCount > 0 && bytesInUse(stats) <= LITTLE_BYTES;
}
