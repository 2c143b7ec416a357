import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { setAsideIfDamaged } from './spool-file.js';
import { idOf, moveOldSpool, SpoolVolume, syncFolder } from './spool-volume.js';

/**
 * The volumes of a spool, those of other processes that share the folder included. LMDB leaves what was removed in pages that it
 * may use again, or may not. So a volume that was emptied is deleted, and the next one begun.
 */
export class SpoolFolder {
  readonly #volumes = new Map<string, SpoolVolume>();
  #isOpen = false;
  #current: SpoolVolume | undefined;
  #beginning: Promise<SpoolVolume> | undefined;

  constructor(private readonly root: string) {}

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Oldest first. */
  get volumes(): SpoolVolume[] {
    return [...this.#volumes.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /**
   * Finds what is there. Empty ones are closed: whether somebody still adds to them cannot be known, and who does will see.
   *
   * @returns where damaged ones were moved to
   */
  async open(): Promise<string[]> {
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    await syncFolder(path.dirname(this.root));
    await moveOldSpool(this.root);
    const asides: string[] = [];
    for (const name of (await this.list()).values()) {
      const aside = await setAsideIfDamaged(path.join(this.root, name), this.root);
      if (aside) asides.push(aside);
    }
    await this.admit();
    for (const volume of this.volumes) {
      volume.isStained = true;
      if (volume.isEmpty) await volume.shut();
    }
    await this.deleteEmptied();
    this.#isOpen = true;
    return asides;
  }

  /** Where to add. What is added is kept if that is still in its place afterwards. */
  async current(): Promise<SpoolVolume> {
    return this.#current?.isInPlace ? this.#current : this.next();
  }

  /** Sees what other processes did, and deletes what was emptied. To be called again and again. */
  async tidy(): Promise<void> {
    await this.admit();
    await this.dismiss();
    for (const volume of this.volumes) {
      if (volume.isInPlace && volume.isEmpty && volume.isQuiet) await this.close(volume);
    }
    await this.deleteEmptied();
  }

  /** From now on none that was ever written to takes any more. @returns them, to be emptied */
  async closeAll(): Promise<SpoolVolume[]> {
    await this.admit();
    const volumes = this.volumes.filter(({ stats }) => stats.lastTxnId > 0);
    for (const volume of volumes) await this.close(volume);
    return volumes;
  }

  async deleteEmptied(): Promise<void> {
    for (const volume of this.volumes) {
      if (volume.isInPlace || volume.isUsed || !volume.isEmpty) continue;
      this.forget(volume);
      await volume.delete();
    }
  }

  /** What is empty is not left behind. */
  async end(): Promise<void> {
    if (this.#current?.isEmpty) await this.#current.shut();
    await this.deleteEmptied();
    for (const volume of this.volumes) {
      this.forget(volume);
      await volume.close();
    }
  }

  /** The disk may have no room for another one: then it stays as it is. */
  private async close(volume: SpoolVolume): Promise<void> {
    if (volume === this.#current) await this.next();
    await volume.shut();
  }

  private async next(): Promise<SpoolVolume> {
    this.#beginning ??= this.begin().finally(() => (this.#beginning = undefined));
    return this.#beginning;
  }

  private async begin(): Promise<SpoolVolume> {
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    const volume = await SpoolVolume.create(this.root);
    this.#volumes.set(volume.id, volume);
    this.#current = volume;
    return volume;
  }

  private async admit(): Promise<void> {
    for (const [id, name] of await this.list()) {
      const isWhole = existsSync(path.join(this.root, name, 'data.mdb'));
      if (isWhole && !this.#volumes.has(id)) this.#volumes.set(id, SpoolVolume.open(this.root, name));
    }
  }

  /** Those that other processes have deleted. */
  private async dismiss(): Promise<void> {
    const names = await this.list();
    for (const volume of this.volumes) {
      if (names.has(volume.id) || volume.isUsed) continue;
      this.forget(volume);
      await volume.close();
    }
  }

  private forget(volume: SpoolVolume): void {
    this.#volumes.delete(volume.id);
    if (volume === this.#current) this.#current = undefined;
  }

  private async list(): Promise<Map<string, string>> {
    const names = await readdir(this.root);
    return new Map(names.flatMap((name) => (idOf(name) ? [[idOf(name) ?? '', name] as const] : [])));
  }
}
