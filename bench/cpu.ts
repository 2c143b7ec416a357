import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** Linux counts in hundredths of a second. */
const TICK_MS = 10;

/** Processor time of a process so far, in all its threads; NaN where there is no /proc. */
export async function cpuMs(pid: number): Promise<number> {
  const fields = await fieldsOf(pid);
  return fields ? TICK_MS * (Number(fields[11]) + Number(fields[12])) : NaN;
}

/** The same of a PostgreSQL: its first process and all its children, those that have ended included. */
export async function postgresCpuMs(cluster: string): Promise<number> {
  const main = Number.parseInt(await readFile(path.join(cluster, 'postmaster.pid'), 'utf8'), 10);
  const own = await fieldsOf(main);
  if (!own) return NaN;
  const ended = TICK_MS * (Number(own[13]) + Number(own[14]));
  let living = 0;
  for (const name of await readdir('/proc')) {
    const fields = /^\d+$/.test(name) ? await fieldsOf(Number(name)) : undefined;
    if (Number(fields?.[1]) === main) living += await cpuMs(Number(name));
  }
  return (await cpuMs(main)) + ended + living;
}

/** What follows the name in `/proc/<pid>/stat`: state, parent, …; undefined for a process that has ended. */
async function fieldsOf(pid: number): Promise<string[] | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}
