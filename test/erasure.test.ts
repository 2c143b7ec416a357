import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../src/database/ids.js';
import { CONFIG, type Config } from '../src/config/config.js';
import { Spool } from '../src/ingest/spool/spool.js';
import { createDatabase, type TestDatabase } from './support/database.js';
import { fillUp, mountSmallDisk, unmount } from './support/disk.js';
import { countBlocked, hold } from './support/hold.js';
import {
  ALL_KEY,
  type Answer,
  type Json,
  notification,
  READ_KEY,
  send,
  startService,
  type TestService,
  TOKEN,
  webhookPath,
} from './support/service.js';
import { spawnService } from './support/process.js';
import { isIn } from './support/spool.js';

const POLL = { timeout: 20_000, interval: 50 };

let database: TestDatabase;
let service: TestService;
let other: TestService;

beforeAll(async () => {
  database = await createDatabase();
  service = await startService({ database });
  other = await startService({ database });
});
afterAll(async () => {
  await Promise.all([service.stop(), other.stop()]);
  await database.drop();
});

async function erase(subject: unknown, { url } = service, key = ALL_KEY): Promise<Answer> {
  return send(`${url}/v1/erasures`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(subject),
  });
}

async function casesOf(callee_number: string): Promise<Json[]> {
  return (await service.get(`/v1/cases?callee_number=${encodeURIComponent(callee_number)}`)).body['data'];
}

/** Tables with a row in which a text stands anywhere, the bytes of bodies included. */
async function tablesWith(text: string): Promise<string[]> {
  await database.query(`SET bytea_output = 'escape'`);
  const tables = await database.query<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`,
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const rows = await database.query(`SELECT FROM ${name} AS each WHERE strpos(each::text, $1) > 0 LIMIT 1`, [text]);
    if (rows.length > 0) found.push(name);
  }
  return found;
}

/** A delivery that was received some time ago, as a spool still has it. */
async function spool({ app }: TestService, body: Json | string, receivedAt: Date): Promise<void> {
  const receipt = { id: newId(), kind: 'workflow-list-completion', receivedAt } as const;
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const rejection = { reason: 'not_json', message: 'The body is not JSON.', errors: [] } as const;
  await app.get(Spool).append([{ receipt, body: bytes, ...(typeof body === 'string' && { rejection }) }]);
}

async function untilSpoolIsEmpty({ app }: TestService): Promise<void> {
  await expect.poll(() => app.get(Spool).report.notifications, POLL).toBe(0);
}

test('a person who is erased by number is found in no table, and nobody else is touched', async () => {
  const callee_number = '+6281100000001';
  await service.post(notification({ case_id: 'one', callee_number }));
  await service.post(notification({ case_id: 'one', callee_number, workflow_name: 'renamed' }));
  await service.post(notification({ case_id: 'two', callee_number, workflow_id: 'another' }));
  await service.post(notification({ case_id: 'one', callee_number: `${callee_number}0` }));
  expect((await tablesWith(callee_number)).toSorted()).toEqual(['cases', 'notifications']);

  const { status, headers, body } = await erase({ callee_number });
  expect(status).toBe(201);
  expect(body).toMatchObject({
    subject: 'callee_number',
    key_name: 'operator',
    removed: { cases: 2, case_node_tasks: 6, notifications: 3, quarantined_notifications: 0, spooled_notifications: 0 },
  });
  expect((await service.get(headers.get('location') as string)).body).toEqual(body);
  expect((await service.get('/v1/erasures?limit=1')).body['data']).toEqual([body]);
  expect(JSON.stringify(body)).not.toContain(callee_number);

  expect(await casesOf(callee_number)).toEqual([]);
  const ofNoCase = 'SELECT FROM case_node_tasks WHERE case_ref NOT IN (SELECT id FROM cases)';
  expect(await database.query(ofNoCase)).toEqual([]);
  expect(await casesOf(`${callee_number}0`)).toHaveLength(1);
  await erase({ callee_number: `${callee_number}0` });
  expect(await tablesWith(callee_number)).toEqual([]);
});

test('a person who is erased by case is gone with every number of that case, in that workflow', async () => {
  for (const callee_number of ['+6281100000002', '+6281100000003']) {
    await service.post(notification({ workflow_id: 'w', case_id: 'erased', callee_number }));
    await service.post(notification({ workflow_id: 'v', case_id: 'erased', callee_number }));
  }
  const { body } = await erase({ workflow_id: 'w', case_id: 'erased' });
  expect((await service.get('/v1/workflows/w')).status).toBe(404);
  expect(body['removed']).toMatchObject({ cases: 2, notifications: 2 });
  expect((await service.get('/v1/cases?workflow_id=w')).body['data']).toEqual([]);
  expect((await service.get('/v1/cases?workflow_id=v')).body['data']).toHaveLength(2);
});

test('what is received after the erasure is new, and is stored', async () => {
  const callee_number = '+6281100000004';
  await service.post(notification({ callee_number }));
  await erase({ callee_number });
  await service.post(notification({ callee_number }));
  expect(await casesOf(callee_number)).toMatchObject([{ notification_count: 1, revision: 1 }]);
});

test('what was received between two erasures is stored, also when it comes late out of a spool', async () => {
  const callee_number = '+6281100000020';
  const { body: first } = await erase({ callee_number });
  const between = new Date(Date.parse(first['erased_at'] as string) + 1);
  await expect.poll(() => Date.now(), POLL).toBeGreaterThan(between.getTime());
  await erase({ callee_number: '+62557' });
  await spool(service, notification({ callee_number }), between);
  await spool(service, `{ "callee_number": "${callee_number}", `, between);
  await untilSpoolIsEmpty(service);
  expect((await tablesWith(callee_number)).toSorted()).toEqual(['cases', 'notifications', 'quarantined_notifications']);
  await erase({ callee_number });
});

test('counts, lists and cursors of others stay right', async () => {
  const workflow_id = 'counted';
  const erased = '+6281100000005';
  for (let n = 0; n < 6; n += 1) {
    const callee_number = n % 2 === 0 ? erased : `+62999${n}`;
    await service.post(notification({ workflow_id, case_id: `case ${n}`, callee_number }));
  }
  const list = `/v1/cases?order=asc&limit=2&workflow_id=${workflow_id}`;
  const feed = `/v1/completions?limit=2&workflow_id=${workflow_id}`;
  const [firstPage, firstStretch] = [await service.get(list), await service.get(feed)];
  await erase({ callee_number: erased });

  const idsOf = (data: Json[]): string[] => data.map((each) => (each['case'] ?? each)['case_id']);
  const rest = await service.get(`${list}&cursor=${firstPage.body['next_cursor']}`);
  expect(idsOf(rest.body['data'])).toEqual(['case 3', 'case 5']);
  const followed = await service.get(`${feed}&cursor=${firstStretch.body['next_cursor']}`);
  expect(idsOf(followed.body['data'])).toEqual(['case 3', 'case 5']);
  expect(followed.body['caught_up']).toBe(true);
  expect(idsOf((await service.get(`${feed}&from=start`)).body['data'])).toEqual(['case 1', 'case 3']);
  expect((await service.get(`/v1/workflows/${workflow_id}`)).body).toMatchObject({
    case_count: 3,
    notification_count: 3,
  });
  expect((await service.get(`${list}&include_total=true`)).body['total']).toBe(3);
});

describe('a copy that was received before', () => {
  const received = new Date(Date.now() - 60_000);

  test('cannot come back from the spool of any replica, and is not kept there', async () => {
    const callee_number = '+6281100000006';
    await service.post(notification({ callee_number }));
    await erase({ callee_number });
    for (const replica of [service, other]) {
      await spool(replica, notification({ case_id: 'copy', callee_number }), received);
      await spool(replica, notification({ case_id: 'neighbour', callee_number: '+62555' }), received);
      await untilSpoolIsEmpty(replica);
      await expect.poll(async () => isIn(replica.app.get<Config>(CONFIG).dataDir, callee_number), POLL).toBe(false);
    }
    expect(await casesOf(callee_number)).toEqual([]);
    expect(await tablesWith(callee_number)).toEqual([]);
    expect(await casesOf('+62555')).toMatchObject([{ notification_count: 2 }]);
  });

  test('is removed from the spool of the replica that erases, whatever keeps it there', async () => {
    const callee_number = '+6281100000007';
    await service.post(notification({ case_id: 'held', callee_number }));
    const client = new Client(database.url);
    await client.connect();
    await client.query(`BEGIN`);
    await client.query(`LOCK TABLE workflows IN ACCESS EXCLUSIVE MODE`); // no delivery can be written
    const waiting = service.post(notification({ case_id: 'waits', callee_number, workflow_name: 'new' }));
    expect((await waiting).status).toBe(200);
    expect(service.app.get(Spool).report.notifications).toBe(1);
    const erasing = erase({ callee_number });
    await sleep(100);
    await client.query(`COMMIT`);
    await client.end();
    expect((await erasing).status).toBe(201);
    await untilSpoolIsEmpty(service);
    expect(await tablesWith(callee_number)).toEqual([]);
  });

  test('does not come back from a statement of another replica that had begun before', async () => {
    const callee_number = '+6281100000008';
    const client = new Client(database.url);
    await client.connect();
    await client.query(`BEGIN`);
    const { workflow_id, case_id } = notification({ case_id: 'begun', callee_number });
    await client.query(
      `INSERT INTO cases SELECT gen_random_uuid(), $1, $2, $3, now(), now(), 1, 1, gen_random_uuid(), ''`,
      [workflow_id, case_id, callee_number],
    );
    const posted = other.post(notification({ case_id: 'begun', callee_number }));
    await expect.poll(async () => waitingForClient(client), POLL).toBeGreaterThan(0);
    const erasing = erase({ callee_number });
    const decided = async (): Promise<unknown[]> => database.query(`SELECT FROM erasures WHERE removed IS NULL`);
    await expect.poll(decided, POLL).toHaveLength(1);
    await client.query(`ROLLBACK`);
    await client.end();
    expect((await posted).status).toBe(200);
    expect((await erasing).status).toBe(201);
    await untilSpoolIsEmpty(other);
    await sleep(300); // time for what was given up to be written after all
    expect(await tablesWith(callee_number)).toEqual([]);
  });

  test('is removed from the spool by the erasure itself, also while nothing is drained', async () => {
    const callee_number = '+6281100000016';
    const release = await hold(database, 'SELECT FROM quarantine_usage FOR UPDATE');
    await spool(service, '{ of nobody', received); // the drainer takes this one, and waits for the lock
    await expect.poll(async () => countBlocked(database), POLL).toBe(1);
    await spool(service, notification({ callee_number }), received);
    await spool(service, `{ "callee_number": "${callee_number}", `, received);
    const erasing = erase({ callee_number });
    await expect.poll(() => service.app.get(Spool).report.notifications, POLL).toBe(1);
    await release();
    const { status, body } = await erasing;
    expect([status, body['removed']?.spooled_notifications]).toEqual([201, 2]);
    await untilSpoolIsEmpty(service);
    expect(await tablesWith(callee_number)).toEqual([]);
    await database.query(`DELETE FROM quarantined_notifications`);
  });

  /** Has more in the spool than is compacted by itself, and bytes of a person who is no longer there. */
  async function stain(at: TestService, callee_number: string, heldCaseId: string): Promise<() => Promise<void>> {
    const held = { case_id: heldCaseId, callee_number: '+62556' };
    await service.post(notification(held));
    const release = await hold(database, `SELECT FROM cases WHERE case_id = '${heldCaseId}' FOR UPDATE`);
    const remark = '.'.repeat(500_000);
    for (let n = 0; n < 12; n += 1) await spool(at, notification({ ...held, remark }), received);
    await spool(at, notification({ callee_number }), received);
    await expect.poll(async () => casesOf(callee_number), POLL).toHaveLength(1);
    await expect.poll(() => at.app.get(Spool).report.notifications, POLL).toBe(12);
    expect(await isIn(at.app.get<Config>(CONFIG).dataDir, callee_number)).toBe(true);
    return async () => {
      await release();
      await untilSpoolIsEmpty(at);
      const { body } = await service.get(`/v1/cases?case_id=${encodeURIComponent(heldCaseId)}`);
      expect(body['data']).toMatchObject([{ notification_count: 13 }]);
    };
  }

  test('is in no file of the spool once the erasure is answered, also beside more than is compacted by itself', async () => {
    const callee_number = '+6281100000017';
    const release = await stain(service, callee_number, 'beside');
    expect((await erase({ callee_number })).status).toBe(201);
    expect(await isIn(service.app.get<Config>(CONFIG).dataDir, callee_number)).toBe(false);
    await release();
  });

  test('that the disk has no room to remove refuses the erasure, which is done when it is asked for again', async (context) => {
    const callee_number = '+6281100000021';
    const folder = await mkdtemp(path.join(tmpdir(), 'airudder-erasure-disk-'));
    await mountSmallDisk(context, folder, 32 * 1024);
    const onDisk = await startService({ database, config: { dataDir: folder } });
    context.onTestFinished(async () => {
      await onDisk.stop();
      await unmount(folder);
      await rm(folder, { recursive: true });
    });
    const release = await stain(onDisk, callee_number, 'beside on a disk');
    await fillUp(folder);
    const refused = await erase({ callee_number }, onDisk);
    expect([refused.status, refused.body['code']]).toEqual([503, 'service_unavailable']);
    for (const name of await readdir(folder)) if (name.startsWith('filler')) await rm(path.join(folder, name));
    await expect.poll(async () => (await erase({ callee_number }, onDisk)).status, POLL).toBe(201);
    expect(await isIn(folder, callee_number)).toBe(false);
    await release();
  });

  async function waitingForClient(client: Client): Promise<number> {
    const { rows } = await client.query(
      `SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))`,
    );
    return rows.length;
  }
});

test('under load on two replicas all that was acknowledged before is gone, and all that is sent after is there', async () => {
  const callee_number = '+6281100000009';
  const workflow_id = 'under load';
  for (let round = 0; round < 8; round += 1) {
    const send20 = async (when: string): Promise<unknown> =>
      Promise.all(
        Array.from({ length: 20 }, async (_, n) =>
          (n % 2 ? service : other).post(
            notification({ workflow_id, case_id: `${when} ${n % 7}`, callee_number, workflow_name: `round ${round}` }),
          ),
        ),
      );
    await send20('before');
    const during = send20('during');
    expect((await erase({ callee_number })).status).toBe(201);
    await sleep(2); // times have milliseconds: what comes within the same one counts as before
    await send20('after');
    await during;
    const ids = (await casesOf(callee_number)).map(({ case_id }) => case_id as string);
    expect(ids.filter((id) => id.startsWith('before'))).toEqual([]);
    expect(ids.filter((id) => id.startsWith('after'))).toHaveLength(7);
    await erase({ callee_number });
  }
  expect(await tablesWith(callee_number)).toEqual([]);
});

test('an erasure that must not be answered yet, because somebody still writes, is refused, and can be asked for again', async () => {
  const callee_number = '+6281100000010';
  await service.post(notification({ case_id: 'waits', callee_number }));
  const client = new Client(database.url);
  await client.connect();
  await client.query(`BEGIN`);
  await client.query(`UPDATE notifications SET body = body WHERE false`);
  const { status, headers, body } = await erase({ callee_number });
  expect([status, body['code']]).toEqual([503, 'service_unavailable']);
  expect(headers.get('retry-after')).toBeTruthy();
  await client.query(`COMMIT`);
  await client.end();
  expect((await erase({ callee_number })).body['removed']).toMatchObject({ cases: 1 });
});

describe('refused bodies', () => {
  const quarantine = async (): Promise<Json[]> => (await service.get('/v1/quarantine?limit=1000')).body['data'];

  test('that mention the erased number anywhere, in whatever words, are removed, and no others', async () => {
    const callee_number = '+6281100000011';
    const spelt = `\\u002b${callee_number.slice(1)}`;
    const mentioning = [
      JSON.stringify(notification({ callee_number, rows: 'none' })),
      `{ "callee_number": "${callee_number}", `,
      `{ "callee_number": "${spelt}", `,
      `{ "callee_number": "${callee_number}", "callee_number": 7 }`,
      JSON.stringify({ deep: [{ remark: `call ${callee_number}, please` }] }),
      `callee_number=${callee_number}&case_id=1`,
      `callee_number=${encodeURIComponent(callee_number)}`,
      Buffer.from(`{ "callee_number": "${callee_number}"`, 'utf16le'),
    ];
    for (const body of mentioning) expect((await service.post(body)).status).toBe(400);
    await service.post(notification({ callee_number }), { 'content-type': 'text/plain' });
    const others = [`{ "callee_number": "${callee_number}0", `, `{ "callee_number": "${callee_number.slice(1)}", `];
    for (const body of others) await service.post(body);
    const { body } = await erase({ callee_number });
    expect(body['removed']).toMatchObject({ quarantined_notifications: mentioning.length + 1 });
    expect(await quarantine()).toHaveLength(others.length);
    await database.query(`DELETE FROM quarantined_notifications`);
  });

  test('that name the erased case are removed, also where they are cut off', async () => {
    const about = { workflow_id: 'refused', case_id: 'erased' };
    await service.post(notification({ ...about, rows: 'none' }));
    await service.post(JSON.stringify(notification(about)).slice(0, -20));
    await service.post(notification({ ...about, case_id: 'other', rows: 'none' }));
    expect((await erase(about)).body['removed']).toMatchObject({ quarantined_notifications: 2 });
    expect(await quarantine()).toMatchObject([{ case_id: 'other' }]);
    await database.query(`DELETE FROM quarantined_notifications`);
  });

  test('that were received before do not come back from the spool of any replica, and those that come later are kept', async () => {
    const callee_number = '+6281100000012';
    const body = `{ "callee_number": "${callee_number}", `;
    const before = new Date();
    await erase({ callee_number });
    for (const replica of [service, other]) {
      await spool(replica, body, before);
      await untilSpoolIsEmpty(replica);
    }
    expect(await quarantine()).toEqual([]);
    await service.post(body);
    expect(await quarantine()).toHaveLength(1);
    await erase({ callee_number });
    expect(await tablesWith(callee_number)).toEqual([]);
  });

  test('that mention the number are found however many others there are', async () => {
    const callee_number = '+6281100000019';
    await database.query(`
      INSERT INTO quarantined_notifications
        (id, kind, reason, body_digest, errors, body, count, first_received_at, last_received_at)
      SELECT lpad(to_hex(n), 32, '0')::uuid, 'k', 'not_json', int4send(n), '[]', '', 1, now(), now()
      FROM generate_series(1, 4100) n`);
    await service.post(`{ "callee_number": "${callee_number}", `);
    expect((await erase({ callee_number })).body['removed']).toMatchObject({ quarantined_notifications: 1 });
    expect(await tablesWith(callee_number)).toEqual([]);
    await database.query(`DELETE FROM quarantined_notifications`);
  });

  test('that another replica is about to commit are waited for, and removed', async () => {
    const callee_number = '+6281100000018';
    const release = await hold(database, 'LOCK TABLE quarantined_notifications IN SHARE MODE');
    const posted = other.post(`{ "callee_number": "${callee_number}", `); // it has looked for erasures, and waits
    await expect.poll(async () => countBlocked(database), POLL).toBeGreaterThan(0);
    let isAnswered = false;
    const erasing = erase({ callee_number }).finally(() => (isAnswered = true));
    // With the drainer, as the sender does not wait so long.
    await expect.poll(async () => isAnswered || (await countBlocked(database)) === 3, POLL).toBe(true);
    await release();
    expect((await posted).status).toBe(400);
    const { status, body } = await erasing;
    expect([status, body['removed']?.quarantined_notifications]).toEqual([201, 1]);
    await untilSpoolIsEmpty(other);
    expect(await tablesWith(callee_number)).toEqual([]);
  });

  test('leave no remark behind that names the person when they were discarded', async () => {
    const callee_number = '+6281100000015';
    const { body } = await service.post(`{ "callee_number": "${callee_number}", `);
    await send(`${service.url}/v1/quarantine/${body['request_id']}/discard`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ALL_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ reason: `Asked for by ${callee_number}.` }),
    });
    expect(await tablesWith(callee_number)).toEqual(['quarantine_actions']);
    await erase({ callee_number });
    expect(await tablesWith(callee_number)).toEqual([]);
    const actions = await database.query(`SELECT FROM quarantine_actions WHERE quarantined_id = $1`, [
      body['request_id'],
    ]);
    expect(actions).toHaveLength(1);
  });

  test('that are replayed while their person is erased bring nobody back', async () => {
    const callee_number = '+6281100000013';
    for (let round = 0; round < 5; round += 1) {
      const { body } = await service.post(notification({ callee_number, case_id: `${round}` }), {
        'content-type': 'text/plain',
      });
      const replaying = send(`${other.url}/v1/quarantine/${body['request_id']}/replay`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ALL_KEY}`, 'content-type': 'application/json' },
        body: '{}',
      });
      await erase({ callee_number });
      await replaying;
      expect(await tablesWith(callee_number)).toEqual([]);
    }
  });
});

test('nothing that a process prints, tells or keeps on its disk has the number, before the erasure or after', async () => {
  const callee_number = '+6281100000014';
  const directory = await mkdtemp(path.join(tmpdir(), 'airudder-erasure-'));
  const settings = { DATABASE_URL: database.url, WEBHOOK_TOKENS: TOKEN, API_KEYS: `operator:operate:${ALL_KEY}` };
  const spawned = spawnService({ ...settings, DATA_DIR: path.join(directory, 'data') }, directory);
  const url = await spawned.ready();
  for (const body of [notification({ callee_number }), notification({ callee_number, rows: 'none' })]) {
    await send(`${url}${webhookPath()}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }
  const { body } = await erase({ callee_number }, { ...service, url });
  expect(body['removed']).toMatchObject({ cases: 1, notifications: 1, quarantined_notifications: 1 });
  const metrics = await send(`${url}/metrics`);
  spawned.kill('SIGTERM');
  expect(await spawned.exitCode()).toBe(0);
  const files = await readdir(directory, { recursive: true, withFileTypes: true });
  const kept = files
    .filter((file) => file.isFile())
    .map(async (file) => readFile(path.join(file.parentPath, file.name)));
  for (const said of [spawned.output(), metrics.text, ...(await Promise.all(kept)).map(String)]) {
    expect(said).not.toContain(callee_number.slice(1));
  }
  expect(await tablesWith(callee_number)).toEqual([]);
  await rm(directory, { recursive: true });
});

describe('bad input', () => {
  test.each([
    [{}, ''],
    [{ callee_number: '' }, 'callee_number'],
    [{ callee_number: null }, 'callee_number'],
    [{ callee_number: 62123 }, 'callee_number'],
    [{ callee_number: 'a\u0000b' }, 'callee_number'],
    [{ case_id: 'one' }, ''],
    [{ workflow_id: 'w', case_id: '' }, 'case_id'],
    [{ workflow_id: 'w', case_id: 'one', callee_number: '+62' }, ''],
    [{ callee_number: '+62', everyone: true }, 'everyone'],
  ])('%j is refused, and says where', async (subject, place) => {
    const { status, body } = await erase(subject);
    expect([status, body['errors']?.[0]?.path]).toEqual([400, place]);
  });

  test('a key without the scope operate erases nobody', async () => {
    expect((await erase({ callee_number: '+62123456' }, service, READ_KEY)).status).toBe(403);
  });
});
