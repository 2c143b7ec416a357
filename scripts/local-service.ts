import { parseConfig, readEnvironment } from '../src/config/config.js';
import { findLocalInstance } from '../src/local/data-dir-lock.js';

/** Returns the address of the service that uses DATA_DIR. @throws Error that names the next step */
export async function findServiceUrl(): Promise<string> {
  const { dataDir } = parseConfig(readEnvironment());
  const instance = await findLocalInstance(dataDir);
  if (!instance) throw new Error(`no service uses ${dataDir} now: run \`npm start\` first, or give --url`);
  if (!instance.url) throw new Error(`the service with process id ${instance.pid} is still starting: try again`);
  return instance.url;
}

/** Host names of this machine in a URL. */
export const THIS_MACHINE = ['127.0.0.1', 'localhost', '[::1]'];
