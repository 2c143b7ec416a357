import net from 'node:net';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { dataSourceOptions, INGEST_POOL } from '../src/database/data-source.js';
import { beginCase } from './support/begin-case.js';
import { withStoppedTimers } from './support/timers.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { type Answer, notification, startService, type TestService } from './support/service.js';
import { metric } from './support/stage.js';

const POLL = { timeout: 20_000, interval: 50 };

let database: TestDatabase;
let cutter: Cutter;
let service: TestService;
beforeAll(async () => {
  database = await createDatabase();
  cutter = await startCutter(database.url);
  service = await startService({ database: { ...database, url: cutter.url } });
});
afterAll(async () => {
  await service.stop();
  cutter.stop();
  await database.drop();
});

let other: Client;
beforeEach(async () => {
  other = new Client(database.url);
  other.on('error', () => undefined);
  await other.connect();
});
afterEach(async () => other.end());

async function postAll(caseIds: readonly string[]): Promise<Answer[]> {
  return Promise.all(caseIds.map(async (case_id) => service.post(notification({ case_id }))));
}

/** Every acknowledged delivery is there once, whether it went to PostgreSQL at once or by the spool. */
async function expectKeptOnce(answers: readonly Answer[]): Promise<void> {
  for (const answer of answers) expect([answer.status, answer.text]).toEqual([200, '{}']);
  await expect.poll(async () => (await service.get('/health/ready')).body['spooled'], POLL).toBe(0);
  const ids = answers.map(({ headers }) => headers.get('x-request-id'));
  const stored = await database.query<{ id: string }>(`SELECT id FROM notifications WHERE id = ANY ($1)`, [ids]);
  expect(stored.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  const wrong = await database.query(`
    SELECT id FROM cases
    WHERE notification_count <> (SELECT count(*) FROM notifications WHERE case_ref = cases.id)
      OR (SELECT count(*) FROM case_node_tasks WHERE case_ref = cases.id) <> 3`);
  expect(wrong).toEqual([]);
}

async function spooled(): Promise<number> {
  const { text } = await service.get('/metrics');
  return Number(/accepted_total\{verdict="spooled"\} (\d+)/.exec(text)?.[1] ?? 0);
}

/** How often transactions that failed with one of these were run again. */
async function retries(...codes: string[]): Promise<number> {
  const { text } = await service.get('/metrics');
  const found = [...text.matchAll(/write_retries_total\{code="(\w+)"\} (\d+)/g)];
  return found.reduce((sum, [, code, count]) => sum + (codes.includes(code as string) ? Number(count) : 0), 0);
}

test('connections that the operator ends are made anew, and nobody notices', async () => {
  await postAll(['warm']);
  const before = await spooled();
  const answers: Answer[] = [];
  for (let round = 0; round < 10; round += 1) {
    await other.query(`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'airudder-notifications%'`);
    const caseIds = [`ended ${round}`, `ended ${round}`, `ended too ${round}`];
    answers.push(...(await withStoppedTimers(async () => postAll(caseIds))));
  }
  await expectKeptOnce(answers);
  expect(await spooled()).toBe(before);
  expect(await retries('57P01', 'Error', 'ECONNRESET')).toBeGreaterThan(0);
});

test('a commit whose answer was lost on the way is sent again, and is there once', async () => {
  await postAll(['warm']);
  const answers: Answer[] = [];
  for (let round = 0; round < 10; round += 1) {
    cutter.cutAfterNextWrite();
    const caseIds = [`unclear ${round % 4}`, `unclear as well ${round}`];
    answers.push(...(await withStoppedTimers(async () => postAll(caseIds))));
  }
  expect(cutter.cuts).toBe(10);
  expect(await retries('Error', 'ECONNRESET')).toBeGreaterThanOrEqual(10);
  await expectKeptOnce(answers);
});

test('serialisation failures are tried again, not answered', async () => {
  const before = await retries('40001');
  await isolate('serializable');
  const answers: Answer[] = [];
  for (let round = 0; round < 100 && (await retries('40001')) === before; round += 1) {
    await other.query(`BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT FROM cases WHERE case_id = 'serial'`);
    await other.query(`UPDATE cases SET revision = revision WHERE case_id = 'serial'`);
    const posts = postAll(Array<string>(4).fill('serial'));
    await new Promise((resolve) => setTimeout(resolve, round % 8));
    await other.query('COMMIT').catch(() => other.query('ROLLBACK'));
    answers.push(...(await posts));
  }
  await isolate('read committed');
  expect(await retries('40001')).toBeGreaterThan(before);
  await expectKeptOnce(answers);

  async function isolate(level: string): Promise<void> {
    const [row] = await database.query<{ name: string }>(`SELECT current_database() AS name`);
    await database.query(`ALTER DATABASE ${row?.name} SET default_transaction_isolation = '${level}'`);
    await database.query(`
      SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name LIKE 'airudder-notifications%'`);
  }
});

test('a deadlock with another transaction is survived', async () => {
  const insert = (caseId: string): string => `
    INSERT INTO cases (id, workflow_id, case_id, callee_number, completed_at, last_notified_at, notification_count, revision,
      current_notification_id, content_digest)
    VALUES (gen_random_uuid(), '${notification().workflow_id}', '${caseId}', '${notification().callee_number}', now(), now(),
      1, 1, gen_random_uuid(), '')`;
  await other.query(`SET deadlock_timeout = '1h'`); // so that it is always the service's transaction that gives way
  await other.query(`BEGIN; ${insert('dead b')}`);
  const before = await retries('40P01');
  const waiting = async (): Promise<number> => metric(service.url, 'airudder_door_waiting_notifications');
  const locks = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  const held = await beginCase(database, 'held');
  const answers = await withStoppedTimers(async () => {
    const first = service.post(notification({ workflow_id: 'by hand', case_id: 'held', callee_number: '+62' }));
    await expect.poll(async () => database.query(locks), POLL).toHaveLength(1);
    // In one batch: the service makes "dead a", and waits for "dead b" while the other one waits for "dead a".
    const posts = postAll(['dead a', 'dead b', 'dead c']);
    await expect.poll(waiting, POLL).toBe(4);
    await held.rollback();
    await first;
    await expect.poll(async () => database.query(locks), POLL).toHaveLength(1);
    await other.query(insert('dead a'));
    await other.query(`ROLLBACK`);
    return posts;
  });
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  await expectKeptOnce(answers);
  expect(await retries('40P01')).toBeGreaterThan(before);
});

test.each(['40001', '40P01', '55P03', '57P01', '08000', '08003', '08006'])(
  'a write that meets SQLSTATE %s is tried again at once, and not spooled',
  async (sqlState) => {
    const before = [await retries(sqlState), await spooled()] as const;
    // A sequence counts the attempts: their end takes nothing back from it.
    await database.query(`
      CREATE SEQUENCE attempts;
      CREATE FUNCTION fail_twice() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF nextval('attempts') <= 2 THEN RAISE EXCEPTION USING ERRCODE = '${sqlState}'; END IF;
        RETURN NEW;
      END $$;
      CREATE TRIGGER fail_twice BEFORE INSERT ON cases FOR EACH ROW EXECUTE FUNCTION fail_twice()`);
    try {
      await expectKeptOnce(await withStoppedTimers(async () => postAll([`fails twice with ${sqlState}`])));
    } finally {
      await database.query(`DROP FUNCTION fail_twice CASCADE; DROP SEQUENCE attempts`);
    }
    expect([await retries(sqlState), await spooled()]).toEqual([before[0] + 2, before[1]]);
  },
);

/** Stands between the service and PostgreSQL, and cuts a connection after a statement went through, before its answer. */
interface Cutter {
  readonly url: string;
  readonly cuts: number;
  cutAfterNextWrite(): void;
  stop(): void;
}

async function startCutter(databaseUrl: string): Promise<Cutter> {
  const target = new URL(databaseUrl);
  let isArmed = false;
  let cuts = 0;
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(target.port), target.hostname);
    let isDoomed = false;
    client.on('data', (bytes: Buffer) => {
      if (isArmed && bytes.includes('write_batch')) [isArmed, isDoomed] = [false, true];
      upstream.write(bytes);
    });
    upstream.on('data', (bytes: Buffer) => {
      if (!isDoomed) return client.write(bytes);
      cuts += 1;
      client.destroy();
      upstream.destroy();
      return false;
    });
    for (const [one, two] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => two.destroy()).on('close', () => two.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as net.AddressInfo).port);
  return {
    url: url.href,
    get cuts() {
      return cuts;
    },
    cutAfterNextWrite: () => (isArmed = true),
    stop: () => server.close(),
  };
}

test('a connection that the server ends in the moment in which it is made ends no process', async () => {
  // AuthenticationOk, ReadyForQuery and a FATAL error in one packet, as a server sends them that is told to end its clients.
  const fields = Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(fields.length + 4);
  const packet = Buffer.concat([
    Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49, 0x45]),
    length,
    fields,
  ]);
  const server = net.createServer((socket) => socket.once('data', () => socket.end(packet)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const options = dataSourceOptions(`postgres://u:p@127.0.0.1:${port}/d`, INGEST_POOL);
  await expect(new DataSource(options).initialize()).rejects.toThrow(/terminat|connection error/); // and nothing that nobody catches
  await new Promise((resolve) => server.close(resolve));
});
