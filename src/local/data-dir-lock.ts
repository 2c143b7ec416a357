import { chmod, mkdir, rm } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';

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
 */
export class DataDirLock {
  #instance: LocalInstance = { pid: process.pid };
  readonly #server: net.Server;

  private constructor() {
    this.#server = net.createServer((socket) => {
      socket.on('error', () => undefined); // a visitor who leaves early is no trouble of ours
      socket.end(JSON.stringify(this.#instance));
    });
    this.#server.unref();
  }

  /** @throws Error naming the process that uses the folder already */
  static async acquire(dataDir: string): Promise<DataDirLock> {
    await mkdir(dataDir, { recursive: true });
    const socketPath = socketPathOf(dataDir);
    const owner = await findLocalInstance(dataDir);
    if (owner) throw new Error(`${dataDir} is in use by the service with process id ${owner.pid}`);
    await rm(socketPath, { force: true });
    const lock = new DataDirLock();
    await new Promise<void>((resolve, reject) => {
      lock.#server.once('error', reject).listen(socketPath, resolve);
    });
    await chmod(socketPath, 0o600);
    return lock;
  }

  announce(url: string): void {
    this.#instance = { pid: process.pid, url };
  }

  async release(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** The service that uses this data folder now, if any. */
export async function findLocalInstance(dataDir: string): Promise<LocalInstance | undefined> {
  return await new Promise((resolve, reject) => {
    let text = '';
    net
      .connect(socketPathOf(dataDir))
      .setEncoding('utf8')
      .on('data', (chunk: string) => (text += chunk))
      .on('end', () => resolve(JSON.parse(text) as LocalInstance))
      .on('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
        else reject(error);
      });
  });
}

/** Of the absolute and the relative path the shorter one: the kernel takes about a hundred bytes and no more. */
function socketPathOf(dataDir: string): string {
  const absolute = path.join(path.resolve(dataDir), 'service.sock');
  const relative = path.relative(process.cwd(), absolute);
  const shorter = relative.length < absolute.length ? relative : absolute;
  if (Buffer.byteLength(shorter) > 100) throw new Error(`the path of the data folder ${dataDir} is too long`);
  return shorter;
}
