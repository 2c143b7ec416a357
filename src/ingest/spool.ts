import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { CONFIG, type Config } from '../config.js';
import { describeError } from '../database/errors.js';
import { within } from '../database/within.js';
import type { SpoolCondition } from '../operations/door-state.js';
import { quarantineFull } from './refusal.js';
import { commit, openSpoolFile, setAsideIfDamaged, type SpoolFile } from './spool-file.js';
import { isDiskFull, SpoolSpace } from './spool-space.js';
import { decodeRecord, encodeKey, encodeValue, type SpoolRecord } from './spool-record.js';

/** A disk that takes longer takes nothing, as far as a sender can wait. */
const COMMIT_LIMIT_MS = 5_000;
const RETRY_PAUSE_MS = 1_000;

/** Pages that a commit may need beside those of its records; also what is left for draining when the disk is full. */
const SPARE_PAGES = 64;

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

export interface Spooled {
  readonly key: Buffer;
  readonly record: SpoolRecord;
}

/**
 * Deliveries on local disk that PostgreSQL could not take yet, in order of receipt: an LMDB environment in `DATA_DIR/spool`,
 * of at most `SPOOL_MAX_BYTES`. What `append` has accepted survives the process and the machine.
 *
 * Any number of processes may share it: each drains what it finds, and what two of them drain is written once.
 */
@Injectable()
export class Spool {
  readonly #logger = new Logger('Spool');
  readonly #directory: string;
  readonly #maxBytes: number;
  readonly #space: SpoolSpace;
  readonly #damaged = new Set<string>();
  #file: SpoolFile | undefined;
  #condition: SpoolCondition = 'unwritable';
  #retryAt = 0;
  #underWayBytes = 0;
  /** Of refused bodies that may still be here. At the start all that is here may be such. */
  #refusedBytes = Infinity;

  constructor(@Inject(CONFIG) config: Config) {
    this.#directory = path.join(config.dataDir, 'spool');
    this.#maxBytes = config.spoolMaxBytes;
    this.#space = new SpoolSpace(this.#directory);
  }

  /** Opens the spool. Whatever is wrong with it is logged and no reason not to start: PostgreSQL may be all that is needed. */
  async open(): Promise<void> {
    try {
      const aside = await setAsideIfDamaged(this.#directory);
      if (aside)
        this.#logger.error('the spool was damaged and is set aside: what it holds is not in PostgreSQL', { aside });
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      await this.#space.probe();
      this.#file = openSpoolFile(this.#directory);
      this.#condition = 'ok';
    } catch (error) {
      if (this.#retryAt === 0) this.#logger.error('the spool cannot be used', { error: describeError(error) });
      this.#retryAt = performance.now() + RETRY_PAUSE_MS;
    }
  }

  /** Looks whether what was wrong has been put right. To be called now and then while nothing else is asked of the spool. */
  async recover(): Promise<void> {
    if (this.#condition === 'ok' || performance.now() < this.#retryAt) return;
    if (!this.#file) return this.open();
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
    if (!this.#file) throw new SpoolError('unwritable');
    const entries = records.map((record) => [encodeKey(record.receipt), encodeValue(record)] as const);
    const added = entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
    if (this.usage().bytes + added > this.#maxBytes) this.fail('full');
    if (records.some(({ refusal }) => refusal)) this.takeShareOfRefused(added);
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
    if (this.#refusedBytes + added > SHARE_OF_REFUSED * this.#maxBytes) throw quarantineFull();
    this.#refusedBytes += added;
  }

  /** The oldest ones behind a key, or of all, up to a number and about so many bytes; at least one if there is one. */
  oldest(limits: { count: number; bytes: number }, behind?: Buffer): Spooled[] {
    const found: Spooled[] = [];
    let bytes = 0;
    const range = this.#file?.getRange({ limit: limits.count + 1, ...(behind && { start: behind }) }) ?? [];
    for (const { key, value } of range) {
      if (behind?.equals(key)) continue;
      bytes += value.length;
      if (found.length === limits.count || (found.length > 0 && bytes > limits.bytes)) break;
      const record = this.decode(key, value);
      if (record) found.push({ key: Buffer.from(key), record });
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

  /** @throws SpoolError if the disk does not take it: they will be drained again, which is harmless */
  async remove(keys: readonly Buffer[]): Promise<void> {
    if (keys.length === 0) return;
    await this.commit((file) => keys.map(async (key) => file.remove(key)));
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  /** Commits what adds to the spool, once the disk has room for it: pages are at least half full, or copied whole. */
  private async write(records: number, bytes: number, changes: Changes): Promise<void> {
    const { lastPageNumber, pageSize } = this.stats();
    try {
      await this.#space.ensure((lastPageNumber + 1 + records + SPARE_PAGES) * pageSize + 2 * bytes);
    } catch (error) {
      this.fail(isDiskFull(error) ? 'full' : 'unwritable', error);
    }
    await this.commit(changes);
  }

  private async commit(changes: Changes): Promise<void> {
    const file = this.#file;
    // A disk that took nothing a moment ago is not asked again for every notification.
    if (!file || (this.#condition === 'unwritable' && performance.now() < this.#retryAt))
      throw new SpoolError('unwritable');
    try {
      await within(
        COMMIT_LIMIT_MS,
        commit(file, () => changes(file)),
      );
      this.#condition = 'ok';
    } catch (error) {
      this.fail('unwritable', error);
    }
  }

  private fail(condition: SpoolError['condition'], error?: unknown): never {
    if (this.#condition !== condition) {
      this.#logger.error(`the spool is ${condition}`, error === undefined ? {} : { error: describeError(error) });
    }
    this.#condition = condition;
    this.#retryAt = performance.now() + RETRY_PAUSE_MS;
    throw new SpoolError(condition);
  }

  /** Bytes of the pages in use: free ones are filled again before the file grows. */
  private usage(): { entryCount: number; bytes: number } {
    const { entryCount, pageSize, treeBranchPageCount, treeLeafPageCount, overflowPages } = this.stats();
    return { entryCount, bytes: pageSize * (treeBranchPageCount + treeLeafPageCount + overflowPages) };
  }

  private stats(): Stats {
    return (this.#file?.getStats() as Stats | undefined) ?? NO_STATS;
  }
}

type Changes = (file: SpoolFile) => Promise<unknown>[];

const NO_STATS = {
  entryCount: 0,
  pageSize: 0,
  lastPageNumber: 0,
  treeBranchPageCount: 0,
  treeLeafPageCount: 0,
  overflowPages: 0,
};
type Stats = Readonly<typeof NO_STATS>;
