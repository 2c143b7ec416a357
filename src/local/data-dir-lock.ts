import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const SOCKET = 'service.sock';
/** No socket, no listener, or a listener that exited during the request. */
const NOT_LISTENING_CODES = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE']);

const ANSWER_TIMEOUT_MS = 2_000;
const TAKEOVER_TIMEOUT_MS = 3_000;

/** The service that owns a data folder. */
export interface LocalInstance {
  readonly pid: number;
  /** Its address; absent while it starts. */
  readonly url?: string;
}

/**
 * Makes this process the only one that uses a data folder.
 *
 * The lock is a Unix socket in the folder. The kernel closes it with its process, so a stale socket refuses
 * connections; a recorded process id could belong to another program. The socket answers a connection with the owner. A
 * second start names that owner, and the simulator finds the service by it.
 *
 * A socket is created under a draft name and linked to its final name once it listens. A socket that refuses
 * connections is therefore stale, never starting. The kernel cannot remove a stale socket atomically, so a process must
 * first create a mark that names this socket. Only one process can create the mark, and the mark stays.
 */
export class DataDirLock {
  #instance: LocalInstance = { pid: process.pid };
  readonly #server: net.Server;
  readonly #socketPath: string;

  private constructor(dataDir: string) {
    this.#socketPath = socketPathOf(dataDir);
    this.#server = net.createServer((socket) => {
      socket.on('error', () => undefined); // ignore clients that disconnect early
      socket.end(JSON.stringify(this.#instance), () => socket.destroy()); // and do not wait for the others
    });
    this.#server.unref();
  }

  /** @throws Error that names the process that uses the folder */
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

  /** Publishes the address of the service to processes that connect. */
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

/** Returns the service that uses this data folder; undefined if there is none. */
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

/** Removes the socket of an exited owner. Reads its inode before the request, and removes only this inode. */
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
  const now = await statOptional(socketPath); // this process may have been suspended in between
  if (now?.ino === socket.ino && now.ctimeNs === socket.ctimeNs) await rm(socketPath, { force: true });
  const marks = (await readdir(dataDir)).filter((name) => name.startsWith(`${SOCKET}.stale-`));
  await Promise.all(
    marks
      .filter((name) => name !== path.basename(mark))
      .map(async (name) => rm(path.join(dataDir, name), { force: true })),
  );
}

/** Waits for the takeover of another process. Removes an old mark, because that process may have been killed. */
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

/** Returns the absolute or the relative path, whichever is shorter: the kernel accepts about a hundred bytes. */
function socketPathOf(dataDir: string): string {
  const absolute = path.join(path.resolve(dataDir), SOCKET);
  const relative = path.relative(process.cwd(), absolute);
  const shorter = relative.length < absolute.length ? relative : absolute;
  if (Buffer.byteLength(shorter) > 85) throw new Error(`${dataDir} has too long a path for a Unix socket in it`);
  return shorter;
}
