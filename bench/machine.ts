import { createRequire } from 'node:module';
import os from 'node:os';
import { query } from './cluster.js';

/** What the figures depend on, a line for each thing. */
export async function describeMachine(databaseUrl: string): Promise<string[]> {
  const [row] = await query<{ server_version: string }>(databaseUrl, 'SHOW server_version');
  const model = os.cpus()[0]?.model.trim() || 'unknown processor';
  const gib = (os.totalmem() / 1024 ** 3).toFixed(1);
  return [
    `Machine: ${model}, ${os.availableParallelism()} cores, ${gib} GiB of memory; ${os.type()} ${os.release()} ${os.arch()}`,
    `Node.js ${process.versions.node}, PostgreSQL ${row?.server_version} on the same machine, express ${versionOf('express')}, ` +
      `autocannon ${versionOf('autocannon')}`,
  ];
}

function versionOf(name: string): string {
  const require = createRequire(import.meta.url);
  return (require(`${name}/package.json`) as { version: string }).version;
}
