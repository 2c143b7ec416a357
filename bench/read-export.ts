import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { startMemorySampling } from './memory.js';
import type { Serving } from './children.js';

/** An export of many rows, read to its end as fast as it comes. */
export interface Export {
  readonly format: string;
  readonly rows: number;
  readonly seconds: number;
  readonly highestMiB: number;
}

/** @param from completions of this time and later, RFC 3339 */
export async function measureExport({ url, pid }: Serving, key: string, format: string, from: string): Promise<Export> {
  const memory = startMemorySampling(pid);
  const startedAt = performance.now();
  const path = `/v1/cases/export?format=${format}&completed_from=${from}`;
  const lines = await countLines(new URL(path, url), { authorization: `Bearer ${key}` });
  const seconds = (performance.now() - startedAt) / 1000;
  const { highestMiB } = await memory.end();
  return { format, rows: format === 'csv' ? lines - 1 : lines, seconds, highestMiB };
}

async function countLines(url: URL, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    request(url, { headers }, (response) => {
      if (response.statusCode !== 200) {
        void text(response).then((body) => reject(new Error(`answered ${response.statusCode}: ${body}`)));
        return;
      }
      let lines = 0;
      response.on('data', (chunk: Buffer) => {
        for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) lines += 1;
      });
      response.once('end', () => resolve(lines)).once('error', reject);
    })
      .once('error', reject)
      .end();
  });
}
