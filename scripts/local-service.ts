import { parseConfig, readEnvironment } from '../src/config/config.js';
import { findLocalInstance } from '../src/local/data-dir-lock.js';

/** Where the service listens that uses DATA_DIR now. @throws Error that says what to do */
export async function findServiceUrl(): Promise<string> {
  const { dataDir } = parseConfig(readEnvironment());
  const instance = await findLocalInstance(dataDir);
  if (!instance) throw new Error(`no service uses ${dataDir} now: run \`npm start\` first, or give --url`);
  if (!instance.url) throw new Error(`the service with process id ${instance.pid} is still starting: try again`);
  return instance.url;
}

export const THIS_MACHINE = ['127.0.0.1', 'localhost', '[::1]'];
