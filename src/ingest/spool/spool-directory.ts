import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { moveIfCorrupted } from './lmdb-environment.js';
import { idOfClosed, idOfPlaced, moveOldSpool, sealVolume, syncFolder } from './volume-names.js';
import { CHUNK_BYTES } from './disk-reservation.js';
import { SpoolVolume } from './spool-volume.js';

/** A volume of another process is sealed only after this long without a write. */
const ABANDONED_AFTER_MS = 5_000;

/**
 * The volumes of a spool: the current one, to which this process adds, and the sealed ones of all processes. LMDB leaves deleted
 * bytes in free pages, so an emptied volume is deleted, and a new one is created.
 */
export class SpoolDirectory {
  readonly #volumes = new Map<string, SpoolVolume>();
  #isOpen = false;
  #current: SpoolVolume | undefined;
  #creating: Promise<SpoolVolume> | undefined;

  constructor(private readonly root: string) {}

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Oldest first. */
  get volumes(): SpoolVolume[] {
    return [...this.#volumes.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /**
   * Seals all volumes: other processes may still add to them, and notice the seal after their commit.
   *
   * @returns the new paths of corrupted volumes
   */
  async open(): Promise<string[]> {
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    await syncFolder(path.dirname(this.root));
    await moveOldSpool(this.root);
    for (const id of (await readdir(this.root)).flatMap(idOfPlaced)) await sealVolume(this.root, id);
    const corruptedPaths: string[] = [];
    for (const name of await this.listClosed()) {
      const corruptedPath = await moveIfCorrupted(path.join(this.root, name), this.root);
      if (corruptedPath) corruptedPaths.push(corruptedPath);
    }
    await this.openSealedVolumes();
    await this.deleteEmptied();
    this.#isOpen = true;
    return corruptedPaths;
  }

  /** The volume to add to. A commit counts only if the volume is still in place afterwards. */
  async current(): Promise<SpoolVolume> {
    return this.#current?.isInPlace ? this.#current : this.next();
  }

  /** Seals abandoned volumes and deletes emptied ones. The drainer calls it periodically. */
  async tidy(): Promise<void> {
    await this.closeAbandoned();
    await this.openSealedVolumes();
    await this.forgetDeletedVolumes();
    if (this.#current?.isEmpty && this.#current.isQuiet) await this.closeCurrent();
    await this.deleteEmptied();
  }

  /** False once any process has deleted the volume. */
  holds(volume: SpoolVolume): boolean {
    return this.#volumes.get(volume.id) === volume;
  }

  /** Seals the selected volumes that have been written to. @returns them, for the caller to empty */
  async close(isSelected: (volume: SpoolVolume) => boolean): Promise<SpoolVolume[]> {
    await this.openSealedVolumes();
    const volumes = this.volumes.filter((volume) => volume.wasWrittenTo && isSelected(volume));
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

  /** Closes all volumes, and deletes the empty ones. */
  async end(): Promise<void> {
    if (this.#current?.isEmpty) await this.#current.seal();
    await this.deleteEmptied();
    for (const volume of this.volumes) {
      this.forget(volume);
      await volume.close();
    }
    this.#isOpen = false;
  }

  /** Creates the next volume first: if the disk has no space for it, the current one stays. */
  private async closeCurrent(): Promise<void> {
    const volume = this.#current;
    await this.next();
    await volume?.seal();
  }

  private async next(): Promise<SpoolVolume> {
    this.#creating ??= this.begin().finally(() => (this.#creating = undefined));
    return this.#creating;
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

  /** Another process is deleting the folder, or moving an old spool into it: so never deletes its data. */
  private async removeIfEmpty(name: string): Promise<void> {
    const folder = path.join(this.root, name);
    await rm(path.join(folder, 'lock.mdb'), { force: true });
    await rmdir(folder).catch(() => undefined);
  }

  /** Forgets volumes that other processes have deleted. */
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
