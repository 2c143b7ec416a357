import { readFileSync } from 'node:fs';
import { Client } from 'pg';
import { dataSourceOptions, QUERY_POOL } from '../src/database/data-source.js';
import { send, stopOnMessage } from './child.js';
import { Connection } from './connection.js';
import type { Database, ReadPlan, ReadResult, Service } from './read-plan.js';
import { percentilesOf } from './statistics.js';

/** One of the connections: asks the next question, and is done once it is answered. */
interface Asker {
  ask(ordinal: number): Promise<void>;
  close(): Promise<void> | void;
}

/**
 * The process that asks: each connection asks again as soon as it was answered, all of them in turn the requests of the
 * plan.
 *
 * @throws Error if any answer is none
 */
const { connections, seconds, from } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as ReadPlan;
const stopping = stopOnMessage();
send(await askInTurn('asks' in from ? askService(from) : await askDatabase(from)));
process.disconnect();

async function askInTurn(askers: readonly Asker[]): Promise<ReadResult> {
  const latenciesMs: number[] = [];
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  let begun = 0;
  await Promise.all(
    askers.map(async (asker) => {
      while (performance.now() < endsAt && !stopping.aborted) {
        const askedAt = performance.now();
        begun += 1;
        await asker.ask(begun - 1);
        latenciesMs.push(performance.now() - askedAt);
      }
    }),
  );
  const perSecond = (latenciesMs.length * 1000) / (performance.now() - startedAt);
  for (const asker of askers) await asker.close();
  return { perSecond, latencyMs: percentilesOf(latenciesMs) };
}

function askService({ url, key, asks }: Service): Asker[] {
  const { port, host } = new URL(url);
  const requests = asks.map(({ path, body }) => {
    const sent = body === undefined ? '' : JSON.stringify(body);
    const head = `${body === undefined ? 'GET' : 'POST'} ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${key}\r\n`;
    const type = `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(sent)}\r\n`;
    return Buffer.from(`${head}${body === undefined ? '' : type}\r\n${sent}`);
  });
  return Array.from({ length: connections }, () => {
    const connection = new Connection(Number(port));
    return {
      ask: async (ordinal) =>
        new Promise<void>((resolve, reject) => {
          connection.request(requests[ordinal % requests.length] as Buffer, (answer) => {
            if (answer?.status === 200) resolve();
            else reject(new Error(`answered ${answer?.status}: ${answer?.body}`));
          });
        }),
      close: () => connection.close(),
    };
  });
}

/** By a prepared statement, on connections that are set as the service's own are. */
async function askDatabase({ databaseUrl, bare: { text, values } }: Database): Promise<Asker[]> {
  const { options } = dataSourceOptions(databaseUrl, QUERY_POOL).extra as { options?: string };
  return Promise.all(
    Array.from({ length: connections }, async () => {
      const client = new Client({ connectionString: databaseUrl, ...(options !== undefined && { options }) });
      await client.connect();
      return {
        ask: async (ordinal: number) => {
          await client.query({ name: 'asked', text, values: [...(values[ordinal % values.length] ?? [])] });
        },
        close: async () => client.end(),
      };
    }),
  );
}
