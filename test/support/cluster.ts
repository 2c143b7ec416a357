import { inject } from 'vitest';
import { run } from '../../src/local/server-user.js';

/** The password of the copied clusters' only user. */
export const CLUSTER_PASSWORD = 'test';

/** Copies the cluster that the global setup made: `initdb` takes longer than everything else that a server needs to start. */
export async function copyCluster(directory: string): Promise<void> {
  await copyFolder(inject('cluster'), directory);
}

/** Keeps owners and modes, which PostgreSQL checks. */
export async function copyFolder(from: string, to: string): Promise<void> {
  await run('cp', ['-a', from, to]);
}
