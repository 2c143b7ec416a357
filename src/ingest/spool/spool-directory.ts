import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { moveIfCorrupted } from './lmdb-environment.js';
import { idOfClosed, idOfPlaced, moveOldSpool, sealVolume, syncFolder } from './volume-names.js';
import { CHUNK_BYTES } from './disk-reservation.js';
import { SpoolVolume } from './spool-volume.js';

/** Who still adds to a volume, or has its own at hand to drain, is left alone with it. */
const ABANDONED_AFTER_MS = 5_000;

/**
 * The volumes of a spool: the one that this process adds to, and those that are closed, of whichever process. LMDB leaves what was
 * removed in pages that it may use again, or may not. So a volume that was emptied is deleted, and the next one begun.
 */
export class SpoolDirectory {
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
   * Closes what is there: whether somebody still adds to it cannot be known, and who does will see.
   *
   * @returns where damaged volumes were moved to
   */
  async open(): Promise<string[]> {
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    await syncFolder(path.dirname(this.root));
    await moveOldSpool(this.root);
    for (const id of (await readdir(this.root)).flatMap(idOfPlaced)) await sealVolume(this.root, id);
    const asides: string[] = [];
    for (const name of await this.listClosed()) {
      const aside = await moveIfCorrupted(path.join(this.root, name), this.root);
      if (aside) asides.push(aside);
    }
    await this.openSealedVolumes();
    await this.deleteEmptied();
    this.#isOpen = true;
    return asides;
  }

  /** Where to add. What is added is kept if that is still in its place afterwards. */
  async current(): Promise<SpoolVolume> {
    return this.#current?.isInPlace ? this.#current : this.next();
  }

  /** Takes over what others left behind, and deletes what was emptied. To be called again and again. */
  async tidy(): Promise<void> {
    await this.closeAbandoned();
    await this.openSealedVolumes();
    await this.forgetDeletedVolumes();
    if (this.#current?.isEmpty && this.#current.isQuiet) await this.closeCurrent();
    await this.deleteEmptied();
  }

  /** False once it was deleted, by whichever process. */
  holds(volume: SpoolVolume): boolean {
    return this.#volumes.get(volume.id) === volume;
  }

  /** From now on those meant take no more, if anything was ever written to them. @returns them, to be emptied */
  async close(isMeant: (volume: SpoolVolume) => boolean): Promise<SpoolVolume[]> {
    await this.openSealedVolumes();
    const volumes = this.volumes.filter((volume) => volume.wasWrittenTo && isMeant(volume));
    if (volumes.some((volume) => volume === this.#current)) await this.closeCurrent();
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
    if (this.#current?.isEmpty) await this.#current.seal();
    await this.deleteEmptied();
    for (const volume of this.volumes) {
      this.forget(volume);
      await volume.close();
    }
    this.#isOpen = false;
  }

  /** First the next one: the disk may have no room for it, and then this one stays. */
  private async closeCurrent(): Promise<void> {
    const volume = this.#current;
    await this.next();
    await volume?.seal();
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

  private async closeAbandoned(): Promise<void> {
    for (const id of (await readdir(this.root)).flatMap(idOfPlaced)) {
      if (this.#volumes.has(id)) continue;
      const file = await stat(path.join(this.root, id, 'data.mdb')).catch(() => undefined);
      const wasAddedTo = file && file.size >= CHUNK_BYTES;
      if (wasAddedTo && Date.now() - file.mtimeMs >= ABANDONED_AFTER_MS) await sealVolume(this.root, id);
    }
  }

  private async openSealedVolumes(): Promise<void> {
    for (const name of await this.listClosed()) {
      const id = idOfClosed(name)[0] ?? '';
      if (this.#volumes.has(id)) continue;
      if (existsSync(path.join(this.root, name, 'data.mdb'))) this.#volumes.set(id, SpoolVolume.open(this.root, id));
      else await this.removeIfEmpty(name);
    }
  }

  /** Somebody else is deleting it; or has just made it, to move an old spool there: so never with what may be in it. */
  private async removeIfEmpty(name: string): Promise<void> {
    const folder = path.join(this.root, name);
    await rm(path.join(folder, 'lock.mdb'), { force: true });
    await rmdir(folder).catch(() => undefined);
  }

  /** Those that other processes have deleted. */
  private async forgetDeletedVolumes(): Promise<void> {
    const names = new Set(await readdir(this.root));
    for (const volume of this.volumes) {
      if (volume.isUsed || volume.names.some((name) => names.has(name))) continue;
      this.forget(volume);
      await volume.close();
    }
  }

  private forget(volume: SpoolVolume): void {
    this.#volumes.delete(volume.id);
    if (volume === this.#current) this.#current = undefined;
  }

  private async listClosed(): Promise<string[]> {
    return (await readdir(this.root)).filter((name) => idOfClosed(name).length > 0);
  }
}
