import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { POLL } from './support/chaos.js';
import { withStoppedTimers } from './support/timers.js';
import { type Json, newCase, startService, type TestService } from './support/service.js';
import { metric } from './support/stage.js';

/** Triggers and a view raise errors that PostgreSQL itself raises only on a broken server. */
let service: TestService;
beforeAll(async () => {
  service = await startService();
  await service.database.query(`
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = TG_ARGV[0]; END $$`);
});
afterAll(async () => service.stop());
afterEach(async () => endFailure());

/** PostgreSQL fails to store the case. */
async function beginFailure(sqlState: string, { case_id }: Json): Promise<void> {
  await service.database.query(`
    CREATE TRIGGER fail BEFORE INSERT ON cases FOR EACH ROW
    WHEN (NEW.case_id = '${case_id}') EXECUTE FUNCTION fail('${sqlState}')`);
}

async function endFailure(): Promise<void> {
  await service.database.query('DROP TRIGGER IF EXISTS fail ON cases');
}

const spooled = async (): Promise<number> => metric(service.url, 'airudder_spool_notifications');

async function isStored({ case_id }: Json): Promise<boolean> {
  return (await service.get(`/v1/cases?case_id=${case_id}`)).body['data'].length === 1;
}

const UNAVAILABLE = [
  ['08006', 'connection failure'],
  ['25006', 'read-only transaction'],
  ['25P04', 'transaction timeout'],
  ['28000', 'authorization refused'],
  ['3D000', 'no such database'],
  ['42501', 'insufficient privilege'],
  ['53100', 'disk full'],
  ['53200', 'out of memory'],
  ['53300', 'too many connections'],
  ['57014', 'query canceled'],
  ['57P03', 'server starts up'],
  ['58030', 'I/O error'],
] as const;

const FAULTY = [
  ['42P01', 'undefined table'],
  ['55000', 'object in the wrong state'],
  ['XX001', 'damaged data'],
] as const;

test.each([...UNAVAILABLE, ...FAULTY])(
  'a notification that meets SQLSTATE %s (%s) is acknowledged, and is stored when the error is gone',
  async (sqlState) => {
    const body = newCase();
    await beginFailure(sqlState, body);
    const answer = await service.post(body);
    expect([answer.status, answer.text]).toEqual([200, '{}']);
    expect(await isStored(body)).toBe(false);
    expect(await spooled()).toBe(1);
    await endFailure();
    await expect.poll(async () => isStored(body), POLL).toBe(true);
    await expect.poll(spooled, POLL).toBe(0);
    expect((await service.get('/v1/quarantine')).body['data']).toEqual([]);
  },
);

test.each(['53200', '57014', 'XX001'])(
  'a spooled notification that alone fails with SQLSTATE %s holds up nothing behind it, and is stored when it can be',
  async (sqlState) => {
    const failing = newCase();
    const behind = [newCase(), newCase(), newCase()];
    await beginFailure(sqlState, failing);
    for (const body of [failing, ...behind]) await service.complete(body);
    for (const body of behind) await expect.poll(async () => isStored(body), POLL).toBe(true);
    await expect.poll(spooled, POLL).toBe(1);
    await endFailure();
    await expect.poll(async () => isStored(failing), POLL).toBe(true);
  },
);

test.each([
  ['22P05', 'untranslatable character'],
  ['23514', 'check violation'],
  ['54000', 'program limit exceeded'],
  ['P0001', 'raised exception'],
])('a notification that PostgreSQL refuses with SQLSTATE %s (%s) is kept with that reason', async (sqlState) => {
  const body = newCase();
  await beginFailure(sqlState, body);
  const answer = await withStoppedTimers(async () => service.post(body));
  expect(answer.body).toMatchObject({ status: 400, code: 'unstorable' });
  const kept = await service.get(`/v1/quarantine/${answer.body['request_id']}`);
  expect(kept.body).toMatchObject({ reason: 'unstorable', case_id: body.case_id });
  expect(kept.body['errors'][0].message).toMatch(`SQLSTATE ${sqlState}`);
});

test.each([
  ...UNAVAILABLE.map(([sqlState, name]) => [sqlState, name, 503, 'service_unavailable'] as const),
  ...FAULTY.map(([sqlState, name]) => [sqlState, name, 500, 'internal_error'] as const),
])('a read that meets SQLSTATE %s (%s) is answered with %i', async (sqlState, _, status, code) => {
  await service.complete(newCase());
  await service.database.query(`
    CREATE FUNCTION fail_read() RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION USING ERRCODE = '${sqlState}'; END $$`);
  await service.database.query(`ALTER TABLE workflows RENAME TO kept`);
  await service.database.query(`CREATE VIEW workflows AS SELECT * FROM kept WHERE fail_read()`);
  try {
    expect((await service.get('/v1/workflows')).body).toMatchObject({ status, code });
  } finally {
    await service.database.query(`DROP VIEW workflows`);
    await service.database.query(`ALTER TABLE kept RENAME TO workflows`);
    await service.database.query(`DROP FUNCTION fail_read`);
  }
});
