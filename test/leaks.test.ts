import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from './support/database.js';
import { type ServiceProcess, spawnService } from './support/process.js';
import { type Answer, notification, send, webhookPath } from './support/service.js';

/** Texts that must stay inside: planted in every place where a client or an operator can put one. */
const NUMBER = '+6281999000111';
const CASE_ID = 'planted-case-id';
const NAME = 'Planted Name';
const TOKEN = 'planted-webhook-token';
const KEY = 'planted-api-key-secret';
const REVEALING_KEY = 'planted-revealing-secret';
const PLANTED = [NUMBER.slice(1), CASE_ID, NAME, TOKEN, KEY, REVEALING_KEY];

let directory: string;
let database: TestDatabase;
let service: ServiceProcess;
let url: string;
const answers: Answer[] = [];
let fault: Awaited<ReturnType<typeof causeFault>>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'airudder-leaks-'));
  database = await createDatabase();
  service = spawnService(
    {
      DATABASE_URL: database.url,
      WEBHOOK_TOKENS: TOKEN,
      API_KEYS: `reader:read:${KEY},revealer:read+reveal+operate:${REVEALING_KEY}`,
      BODY_LIMIT_BYTES: '20000',
    },
    directory,
  );
  url = await service.ready();
  await driveEverything();
  fault = await causeFault();
});
afterAll(async () => {
  service.kill('SIGTERM');
  await service.exitCode();
  await database.drop();
  await rm(directory, { recursive: true });
});

/** Every kind of request that this service answers with something other than the data itself. */
async function driveEverything(): Promise<void> {
  const body = notification({ case_id: CASE_ID, callee_number: NUMBER, workflow_name: NAME });
  const text = JSON.stringify(body);
  const post = async (content: string, headers = {}, to = webhookPath(TOKEN)): Promise<number> =>
    answers.push(
      await send(`${url}${to}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: content,
      }),
    );
  await post(text);
  await post(text);
  await post(text.slice(0, -5));
  await post(text.replace('"rows"', `${NUMBER}"rows"`));
  await post(JSON.stringify({ ...body, case_id: { [NUMBER]: CASE_ID } }));
  await post(JSON.stringify({ ...body, callee_number: `${NUMBER}\0` }));
  await post(JSON.stringify({ ...body, [NAME]: NUMBER.repeat(2_000) }));
  await post(text, { 'content-type': 'text/plain' });
  await post(text, { 'content-encoding': 'gzip' });
  await post(text, { 'content-encoding': NAME });
  await post(text, {}, webhookPath(TOKEN, NAME));
  await post(text, {}, `/nowhere/${TOKEN}?callee_number=${encodeURIComponent(NUMBER)}`);

  const number = encodeURIComponent(NUMBER);
  for (const path of [
    `/v1/cases?callee_number=${number}&limit=1`,
    `/v1/cases?callee_number=${number}&callee_number=${number}`,
    `/v1/cases?limit=${number}`,
    `/v1/cases?${number}=1`,
    `/v1/cases?${NUMBER.slice(1)}=1`,
    `/v1/cases?cursor=${number}`,
    `/v1/cases?completed_from=${number}`,
    `/v1/cases/${number}`,
    `/v1/workflows/${number}`,
    `/v1/quarantine`,
  ]) {
    answers.push(await send(`${url}${path}`, { headers: { authorization: `Bearer ${KEY}x` } }));
    const answer = await send(`${url}${path}`, { headers: { authorization: `Bearer ${KEY}` } });
    // What the reader asked for by its own words may be told; of the case it asked for, the number may not.
    if (answer.status !== 200) answers.push(answer);
    else expect(answer.text).not.toMatch(NUMBER.slice(1));
  }
}

/** Takes a table away from a read and a notification. */
async function causeFault(): Promise<{ read: Answer; posted: Answer; logged: string }> {
  const before = service.output().length;
  await database.query(`ALTER TABLE case_node_tasks RENAME TO gone`);
  const read = await send(`${url}/v1/cases?callee_number=${encodeURIComponent(NUMBER)}`, {
    headers: { authorization: `Bearer ${REVEALING_KEY}` },
  });
  const posted = await send(`${url}${webhookPath(TOKEN)}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(notification({ case_id: CASE_ID, callee_number: `${NUMBER}2` })),
  });
  await database.query(`ALTER TABLE gone RENAME TO case_node_tasks`);
  return { read, posted, logged: service.output().slice(before) };
}

test('no error, header or request id of any answer repeats a planted text', () => {
  expect(answers.length).toBeGreaterThan(25);
  for (const answer of answers) {
    const seen = `${answer.text} ${JSON.stringify([...answer.headers])}`;
    for (const planted of PLANTED) expect(seen).not.toMatch(planted);
  }
});

test('no error repeats a number that stands where a name should be', async () => {
  const digits = NUMBER.slice(1);
  const ask = async (path: string, body?: string): Promise<Answer> =>
    send(`${url}${path}`, {
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      ...(body !== undefined && { method: 'POST', body }),
    });
  for (const answer of [
    await ask(`/v1/cases?${digits}`),
    await ask(`/v1/cases?callee_number${digits}`),
    await ask(`/v1/cases?callee_number[${digits}]=1`),
    await ask('/v1/cases/lookup', `{"cases":[{"case_id":"x","n${digits}":1}]}`),
    await ask('/v1/cases/lookup', `{"cases":[{"case_id":"x","${digits}":{"${digits}":{}}}]}`),
  ]) {
    expect(answer.status).toBe(400);
    expect(answer.body['errors']).toHaveLength(1);
    expect(answer.text).not.toMatch(digits);
  }
});

test('no log line has a planted text, and refusals are logged with their request id and reason', async () => {
  const lines = service
    .output()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  for (const planted of PLANTED) expect(service.output()).not.toMatch(planted);
  const refusals = lines.filter((line) => line['message'] === 'notification rejected');
  expect(refusals).toHaveLength(7);
  for (const refusal of refusals)
    expect(refusal).toMatchObject({ request_id: expect.any(String), reason: expect.any(String) });
});

test('a fault of our own is logged without values, and the client is told none', () => {
  const { read, posted, logged } = fault;
  expect(read.body).toMatchObject({ status: 500, code: 'internal_error' });
  expect(read.text).not.toMatch(/case_node_tasks|SELECT|at /);
  expect([posted.status, posted.text]).toEqual([200, '{}']); // the spool keeps it until the table is back
  expect(logged.match(/"code":"42P01"/g)?.length).toBeGreaterThanOrEqual(2);
  for (const planted of PLANTED) expect(logged).not.toMatch(planted);
});

describe('metrics', () => {
  test('have the promised series, and no label with a value that a client chose', async () => {
    const { text } = await send(`${url}/metrics`);
    for (const planted of PLANTED) expect(text).not.toMatch(planted);
    for (const series of [
      'airudder_notifications_received_total 11',
      'airudder_notifications_accepted_total{verdict="first"} 1',
      'airudder_notifications_accepted_total{verdict="repeat"} 1',
      'airudder_notifications_refused_total{reason="not_json"} 2',
      'airudder_notifications_refused_total{reason="invalid_fields"} 2',
      'airudder_notifications_refused_total{reason="body_too_large"} 1',
      'airudder_notifications_refused_total{reason="unsupported_media_type"} 2',
      'airudder_notifications_refused_total{reason="undecodable_body"} 1',
      'airudder_notifications_refused_total{reason="not_found"} 1',
      'airudder_notifications_accepted_total{verdict="spooled"} 1',
      'airudder_http_request_duration_seconds_count{method="POST",route="/webhooks/airudder/:token/:kind",status="200"} 3',
      'airudder_database_pool_connections{pool="ingest"} ',
      'airudder_database_pool_connections{pool="query"} ',
      'airudder_database_pool_idle_connections{pool="ingest"} ',
      'airudder_database_pool_waiting_requests{pool="ingest"} ',
      'process_resident_memory_bytes ',
    ]) {
      expect(text).toMatch(new RegExp(`^${series.replaceAll(/[{}/?]/g, '\\$&')}`, 'm'));
    }
  });
});

test('the title of the process and its arguments have no planted text', async () => {
  if (process.platform !== 'linux') return;
  const commandLine = await readFile(`/proc/${service.pid}/cmdline`, 'utf8');
  for (const planted of PLANTED) expect(commandLine).not.toMatch(planted);
});

test('a start that fails names the setting and repeats no secret', async () => {
  for (const settings of [
    { DATABASE_URL: `${database.url}-not-there`, WEBHOOK_TOKENS: TOKEN, API_KEYS: `a:read:${KEY}` },
    { DATABASE_URL: asUnknownUser(database.url, KEY), WEBHOOK_TOKENS: TOKEN, API_KEYS: `a:read:${KEY}` },
    { DATABASE_URL: database.url, WEBHOOK_TOKENS: `${TOKEN}/`, API_KEYS: `a:read:${KEY}` },
    { DATABASE_URL: database.url, WEBHOOK_TOKENS: TOKEN, API_KEYS: `a:write:${KEY}` },
  ]) {
    const failed = spawnService(settings, directory);
    expect(await failed.exitCode()).toBe(1);
    expect(failed.output()).toMatch(/^airudder-notifications: (DATABASE_URL|WEBHOOK_TOKENS|API_KEYS) .*\n$/);
    for (const planted of PLANTED) expect(failed.output()).not.toMatch(planted);
  }
});

/** A server that trusts every password refuses an unknown user too. */
function asUnknownUser(databaseUrl: string, password: string): string {
  const changed = new URL(databaseUrl);
  changed.username = 'unknown-user';
  changed.password = password;
  return changed.href;
}
