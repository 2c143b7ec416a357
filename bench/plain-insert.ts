import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { send, stopOnMessage } from './child.js';
import { percentilesOf } from './statistics.js';
import { TEMPLATE } from './stamped-request.js';

/** Its rows are not the contestants' own: they are told apart by this. */
const KIND = 'bench';

const INSERT = `
  INSERT INTO notifications (id, kind, received_at, verdict, workflow_id, case_ref, content_digest, body)
  VALUES ($1, $2, $3, 'first', $4, $5, $6, $7)`;

/**
 * Inserts one row after the other by a prepared statement, and tells the latencies: between BEGIN and COMMIT, as a client
 * does it that does not know how many statements will follow, or as a statement that commits by itself.
 */
const [databaseUrl = '', seconds = '', way = ''] = process.argv.slice(2);
const stopping = stopOnMessage();
const client = new Client(databaseUrl);
await client.connect();
const body = Buffer.from(TEMPLATE);
const latenciesMs: number[] = [];
const end = performance.now() + Number(seconds) * 1000;
while (performance.now() < end && !stopping.aborted) {
  const values = [uuidv7(), KIND, new Date(), 'bench', uuidv7(), randomBytes(32), body];
  const startedAt = performance.now();
  if (way === 'transaction') await client.query('BEGIN');
  await client.query({ name: 'insert', text: INSERT, values });
  if (way === 'transaction') await client.query('COMMIT');
  latenciesMs.push(performance.now() - startedAt);
}
await client.end();
send({ latencyMs: percentilesOf(latenciesMs), count: latenciesMs.length });
process.disconnect();
