import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from './support/database.js';
import { type ServiceProcess, spawnService } from './support/process.js';
import { type Answer, type Json, notification, send, webhookPath } from './support/service.js';

/** Planted in every place where a client or an operator can put a text. */
const NUMBER = '+6281777000222';
const CASE_ID = 'planted-case-id-2';
const NAME = 'Planted Name 2';
const TOKEN = 'planted-webhook-token-2';
const READER = 'planted-reader-secret';
const OPERATOR = 'planted-operator-secret';
const PASSWORD = 'planted-database-password';
const SECRETS = [TOKEN, READER, OPERATOR, PASSWORD];
const PLANTED = [NUMBER.slice(1), CASE_ID, NAME, ...SECRETS];
const KEYS = ['', 'Bearer wrong', `Basic ${btoa(`${NAME}:${OPERATOR}`)}`, `Bearer ${READER}`, `Bearer ${OPERATOR}`];

/** Dies as no fault of the code should make it die, with an error on which everything hangs. */
const DIES = `process.on('SIGUSR2', () => {
  const error = { detail: 'Key (callee_number)=(${NUMBER})', parameters: ['${CASE_ID}'] };
  Promise.reject(Object.assign(new TypeError('${NUMBER}'), error));
})`;

let directory: string;
let database: TestDatabase;
let service: ServiceProcess;
let url: string;
let document: Json;
const answers: { request: string; answer: Answer; key: string }[] = [];

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'airudder-leaks-'));
  database = await createDatabase();
  await writeFile(path.join(directory, 'dies.mjs'), DIES);
  service = spawnService(
    {
      DATABASE_URL: database.url,
      WEBHOOK_TOKENS: TOKEN,
      API_KEYS: `reader:read:${READER},operator:read+reveal+operate:${OPERATOR}`,
      RATE_LIMIT_FAILURES: '0',
      NODE_OPTIONS: `--trace-warnings --import=${path.join(directory, 'dies.mjs')}`,
    },
    directory,
  );
  url = await service.ready();
  document = (await send(`${url}/openapi.json`)).body;
  await plant();
  for (const [template, methods] of Object.entries(document['paths'] as Json)) {
    for (const [method, operation] of Object.entries(methods as Json)) await drive(method, template, operation as Json);
  }
});
afterAll(async () => {
  service.kill('SIGKILL');
  await service.exitCode();
  await database.drop();
  await rm(directory, { recursive: true });
});

async function plant(): Promise<void> {
  const about = notification({ case_id: CASE_ID, callee_number: NUMBER, workflow_id: CASE_ID, workflow_name: NAME });
  for (const body of [about, { ...about, workflow_name: `${NAME}!` }, { ...about, rows: NUMBER }]) {
    await send(`${url}${webhookPath(TOKEN)}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }
}

/** Each operation with each key: as its caller should, and with something planted in each place in turn. */
async function drive(method: string, template: string, { operationId, parameters = [] }: Json): Promise<void> {
  const withIds = (id: string): string => template.replaceAll(/\{\w+\}/g, encodeURIComponent(id));
  const inQuery = (parameters as Json[]).filter((parameter) => parameter['in'] === 'query');
  const addresses = [
    withIds(CASE_ID),
    withIds(NUMBER),
    `${withIds(CASE_ID)}?${encodeURIComponent(NUMBER)}=1`,
    ...inQuery.flatMap(({ name }) =>
      [CASE_ID, NUMBER].map((text) => `${withIds(CASE_ID)}?${name}=${encodeURIComponent(text)}`),
    ),
  ];
  const bodies =
    method === 'get'
      ? [undefined]
      : [
          {},
          { callee_number: NUMBER, unknown: CASE_ID },
          { [NUMBER]: NAME },
          { cases: [{ case_id: CASE_ID }] },
          NUMBER,
        ].map((body) => JSON.stringify(body));
  const headers = [
    'accept',
    'prefer',
    'last-event-id',
    'if-none-match',
    'range',
    'x-request-id',
    'content-encoding',
    'expect-ct',
  ];
  for (const key of KEYS) {
    const authorization = key === '' ? {} : { authorization: key };
    const ask = async (address: string, body: string | undefined, more: Record<string, string> = {}): Promise<void> => {
      const response = await fetch(`${url}${address}`, {
        method,
        headers: { 'content-type': 'application/json', ...authorization, ...more },
        ...(body !== undefined && { body }),
        signal: AbortSignal.timeout(20_000),
      });
      answers.push({ request: `${operationId} with ${key.slice(0, 6)}`, key, answer: await read(response) });
    };
    for (const address of addresses) for (const body of bodies) await ask(address, body);
    for (const header of headers) await ask(withIds(CASE_ID), bodies[0], { [header]: `${NAME} ${NUMBER}` });
  }
}

/** Of a stream, which never ends, only what comes first. */
async function read(response: Response): Promise<Answer> {
  const { status, headers } = response;
  let text: string;
  if (headers.get('content-type') === 'text/event-stream') {
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    text = new TextDecoder().decode((await reader.read()).value);
    await reader.cancel();
  } else text = await response.text();
  return { status, headers, text, body: {} };
}

/** What a text says, and what is hidden in whatever in it looks like base64: cursors, tags, ids. */
function readings(text: string): string {
  const hidden = text.match(/[\w+/-]{16,}={0,2}/g) ?? [];
  return [
    text,
    ...hidden.flatMap((each) => [Buffer.from(each, 'base64').toString(), Buffer.from(each, 'hex').toString()]),
  ].join('\n');
}

const headersOf = ({ headers }: Answer): string =>
  [...headers]
    .filter(([name]) => name !== 'link')
    .map((header) => header.join(': '))
    .join('\n'); // links repeat the asker's own address

test('every operation of the document was asked, with every key, and answered in every class of status', () => {
  const operations = Object.values(document['paths'] as Json).flatMap((methods) => Object.values(methods as Json));
  expect(new Set(answers.map(({ request }) => request)).size).toBe(
    operations.length * new Set(KEYS.map((key) => key.slice(0, 6))).size,
  );
  expect(new Set(answers.map(({ answer }) => Math.floor(answer.status / 100)))).toEqual(new Set([2, 4]));
});

test('no header of any answer says or hides a planted text, whatever was asked', () => {
  for (const { request, answer } of answers) {
    const said = readings(headersOf(answer));
    for (const planted of PLANTED) expect(said, request).not.toContain(planted);
  }
});

test('no error says or hides a planted text', () => {
  for (const { request, answer } of answers.filter(({ answer: { status } }) => status >= 400)) {
    const said = readings(answer.text);
    for (const planted of PLANTED) expect(said, request).not.toContain(planted);
    expect(said, request).not.toMatch(/SELECT|INSERT|node_modules|\bat .*\.js/);
  }
});

test('no answer says a secret, and none says a number to a key that may not see it', () => {
  for (const { request, answer, key } of answers) {
    const said = readings(answer.text);
    for (const secret of SECRETS) expect(said, request).not.toContain(secret);
    // Lookups repeat what was asked, in the asker's own words.
    if (key !== `Bearer ${OPERATOR}` && !/lookup/i.test(request)) expect(said, request).not.toContain(NUMBER.slice(1));
  }
});

test('no cursor, tag or id hides a number or an id, also for keys that see all', async () => {
  for (const address of [
    '/v1/cases?limit=1',
    `/v1/cases?limit=1&callee_number=${encodeURIComponent(NUMBER)}`,
    '/v1/completions?limit=1',
    '/v1/quarantine?limit=1',
    '/v1/workflows?limit=1',
    '/v1/audit?limit=1',
    '/v1/erasures?limit=1',
  ]) {
    await send(`${url}${webhookPath(TOKEN)}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(notification({ case_id: `${CASE_ID} ${address}`, callee_number: NUMBER })),
    });
    const { body, headers, status } = await send(`${url}${address}`, {
      headers: { authorization: `Bearer ${OPERATOR}` },
    });
    expect(status, address).toBe(200);
    const ids = (body['data'] as Json[]).flatMap((each) => [each['id'], each['notification_id'], each['case']?.id]);
    const said = readings([body['next_cursor'], headers.get('etag'), ...ids].join(' '));
    for (const planted of [NUMBER.slice(1), CASE_ID]) expect(said, address).not.toContain(planted);
  }
});

test('neither metrics, nor the document, nor any page of /docs says a planted text', async () => {
  for (const address of ['/metrics', '/openapi.json', '/docs', '/health/ready', '/health/live']) {
    const { text } = await send(`${url}${address}`);
    for (const planted of PLANTED) expect(text, address).not.toContain(planted);
  }
});

test('an error of PostgreSQL that repeats a number is told and logged without it', async () => {
  const before = service.output().length;
  await database.query('ALTER TABLE cases RENAME TO whole_cases');
  await database.query('CREATE VIEW cases AS SELECT * FROM whole_cases WHERE callee_number::smallint > 0');
  const answer = await send(`${url}/v1/cases?case_id=${CASE_ID}`, { headers: { authorization: `Bearer ${OPERATOR}` } });
  await database.query('DROP VIEW cases');
  await database.query('ALTER TABLE whole_cases RENAME TO cases');
  expect(answer.body).toMatchObject({ status: 500, code: 'internal_error' });
  const said = answer.text + service.output().slice(before);
  expect(said).toContain('"code":"22003"');
  for (const planted of PLANTED) expect(said).not.toContain(planted);
});

describe('what is printed', () => {
  test('says no planted text while all this is asked', () => {
    for (const planted of PLANTED) expect(service.output()).not.toContain(planted);
  });

  test('says none when the process dies of a fault, but says where that was', async () => {
    service.kill('SIGUSR2');
    expect(await service.exitCode()).toBe(1);
    for (const planted of PLANTED) expect(service.output()).not.toContain(planted);
    expect(service.output()).toMatch(/^airudder-notifications: TypeError\n\s+at /m);
  });

  test.each<[string, Record<string, string>, string]>([
    ['a wrong password', { DATABASE_URL: 'AS ANOTHER' }, 'DATABASE_URL'],
    ['a host that is none', { DATABASE_URL: `postgres://u:${PASSWORD}@[/d` }, 'DATABASE_URL'],
    ['a file of keys that is malformed', { API_KEYS_FILE: 'keys' }, 'API_KEYS'],
    ['a file of tokens that is malformed', { WEBHOOK_TOKENS_FILE: 'tokens' }, 'WEBHOOK_TOKENS'],
    ['a digest that is none', { API_KEYS: `a:read:sha256:${OPERATOR}` }, 'API_KEYS'],
    ['an address that is none', { WEBHOOK_ALLOWED_ADDRESSES: NUMBER }, 'WEBHOOK_ALLOWED_ADDRESSES'],
  ])('says none when a start fails for %s', async (_, settings, name) => {
    await writeFile(path.join(directory, 'keys'), `operator:nothing:${OPERATOR}`);
    await writeFile(path.join(directory, 'tokens'), `${TOKEN}/`);
    const required = {
      DATABASE_URL: database.url,
      ...(settings['WEBHOOK_TOKENS_FILE'] === undefined && { WEBHOOK_TOKENS: TOKEN }),
      ...(settings['API_KEYS_FILE'] === undefined && { API_KEYS: `a:read:${READER}` }),
    };
    const another = new URL(database.url);
    another.password = PASSWORD;
    another.username = 'nobody-known';
    const failed = spawnService(
      { ...required, ...settings, ...(settings['DATABASE_URL'] === 'AS ANOTHER' && { DATABASE_URL: another.href }) },
      directory,
    );
    expect(await failed.exitCode()).toBe(1);
    expect(failed.output()).toMatch(new RegExp(`^airudder-notifications: ${name}.*\n$`));
    for (const planted of PLANTED) expect(failed.output()).not.toContain(planted);
  });
});
