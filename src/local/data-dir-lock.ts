import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const SOCKET = 'service.sock';
/** No socket, nobody behind it, or somebody who ended while being asked. */
const NOT_LISTENING_CODES = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE']);

const ANSWER_TIMEOUT_MS = 2_000;
const TAKEOVER_TIMEOUT_MS = 3_000;

/** What the service that owns a data folder tells about itself. */
export interface LocalInstance {
  readonly pid: number;
  /** Where it listens; absent while it is still starting. */
  readonly url?: string;
}

/**
 * Makes this process the only one that uses a data folder.
 *
 * The lock is a Unix socket in the folder: the kernel closes it with its process, however that ends, so a stale socket
 * refuses connections and cannot be mistaken for a living owner, as a recorded process id could. Whoever connects is
 * told who the owner is: that is how a second start names the first, and how the simulator finds the service.
 *
 * A socket is made under a name of its own and linked to its place once it listens: what stands there and refuses is
 * stale, never just starting. Removing a stale one is the step that the kernel does not make atomic, so whoever wants to
 * must first create a mark that names that very socket; only one process can, and the mark stays behind.
 */
export class DataDirLock {
  #instance: LocalInstance = { pid: process.pid };
  readonly #server: net.Server;
  readonly #socketPath: string;

  private constructor(dataDir: string) {
    this.#socketPath = socketPathOf(dataDir);
    this.#server = net.createServer((socket) => {
      socket.on('error', () => undefined); // a visitor who leaves early is no trouble of ours
      socket.end(JSON.stringify(this.#instance), () => socket.destroy()); // nor one who stays
    });
    this.#server.unref();
  }

  /** @throws Error naming the process that uses the folder already */
  static async acquire(dataDir: string): Promise<DataDirLock> {
    await mkdir(dataDir, { recursive: true });
    const lock = new DataDirLock(dataDir);
    const draft = `${lock.#socketPath}-${process.pid}-${randomBytes(3).toString('hex')}`;
    try {
      await new Promise<void>((resolve, reject) => lock.#server.once('error', reject).listen(draft, resolve));
      await chmod(draft, 0o600);
      while (!(await lock.tryLink(draft))) {
        const owner = await findLocalInstance(dataDir);
        if (owner) throw new Error(`${dataDir} is in use by the service with process id ${owner.pid}`);
        await removeStale(dataDir);
      }
      return lock;
    } catch (error) {
      lock.#server.close();
      throw error;
    } finally {
      await rm(draft, { force: true });
    }
  }

  announce(url: string): void {
    this.#instance = { pid: process.pid, url };
  }

  async release(): Promise<void> {
    await rm(this.#socketPath, { force: true });
    await new Promise((resolve) => this.#server.close(resolve));
  }

  private async tryLink(draft: string): Promise<boolean> {
    try {
      await link(draft, this.#socketPath);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      return false;
    }
  }
}

/** The service that uses this data folder now, if any. */
export async function findLocalInstance(dataDir: string): Promise<LocalInstance | undefined> {
  return await new Promise((resolve, reject) => {
    let text = '';
    const socket = net.connect(socketPathOf(dataDir)).setEncoding('utf8').setTimeout(ANSWER_TIMEOUT_MS);
    const hung = new Error(`${dataDir} is in use by a service that does not answer`);
    socket
      .on('timeout', () => socket.destroy(hung))
      .on('data', (chunk: string) => (text += chunk))
      .on('end', () => resolve(text === '' ? undefined : (JSON.parse(text) as LocalInstance)))
      .on('error', (error: NodeJS.ErrnoException) => {
        if (NOT_LISTENING_CODES.has(error.code ?? '')) resolve(undefined);
        else reject(error);
      });
  });
}

/** Removes the socket if its owner is gone. It is looked at before it is asked: what is removed is what was asked. */
async function removeStale(dataDir: string): Promise<void> {
  const socketPath = socketPathOf(dataDir);
  const socket = await statOptional(socketPath);
  if (!socket || (await findLocalInstance(dataDir))) return;
  const mark = path.join(dataDir, `${SOCKET}.stale-${socket.ino}-${socket.ctimeNs}`);
  try {
    await writeFile(mark, '', { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    await awaitTakeover(mark);
    return;
  }
  const now = await statOptional(socketPath); // this process may have been stopped in between
  if (now?.ino === socket.ino && now.ctimeNs === socket.ctimeNs) await rm(socketPath, { force: true });
  const marks = (await readdir(dataDir)).filter((name) => name.startsWith(`${SOCKET}.stale-`));
  await Promise.all(
    marks
      .filter((name) => name !== path.basename(mark))
      .map(async (name) => rm(path.join(dataDir, name), { force: true })),
  );
}

/** Another process is taking over. Should it have been killed at that very moment, its mark must not last for ever. */
async function awaitTakeover(mark: string): Promise<void> {
  const made = await statOptional(mark);
  if (made && Date.now() - Number(made.mtimeMs) > TAKEOVER_TIMEOUT_MS) await rm(mark, { force: true });
  else await sleep(50);
}

async function statOptional(file: string): Promise<{ ino: bigint; ctimeNs: bigint; mtimeMs: bigint } | undefined> {
  try {
    return await stat(file, { bigint: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Of the absolute and the relative path the shorter one: the kernel takes about a hundred bytes and no more. */
function socketPathOf(dataDir: string): string {
  const absolute = path.join(path.resolve(dataDir), SOCKET);
  const relative = path.relative(process.cwd(), absolute);
  const shorter = relative.length < absolute.length ? relative : absolute;
  if (Buffer.byteLength(shorter) > 85) throw new Error(`${dataDir} has too long a path for a Unix socket in it`);
  return shorter;
}
