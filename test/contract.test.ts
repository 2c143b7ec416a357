import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { beforeAll, expect, test } from 'vitest';
import { makeApiKey } from '../src/config/api-key.js';
import { ConnectionTracker } from '../src/http/server/connection-tracker.js';
import { Contract, type Operation, typeOf } from './support/contract.js';
import { createDatabase } from './support/database.js';
import {
  ALL_KEY,
  type Answer,
  type Json,
  notification,
  send,
  startService,
  type TestService,
  webhookPath,
} from './support/service.js';

const BLIND_KEY = 'secret-that-opens-nothing';
const apiKeys = [
  makeApiKey('operator', ['read', 'reveal', 'operate'], ALL_KEY),
  makeApiKey('blind', ['reveal'], BLIND_KEY), // sees much, but may ask for nothing
];

interface Request {
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/**
 * Of each operation a request that is answered as its caller hopes, and more where it can be answered in ways that no other
 * operation has. An operation of the document that is not here fails the tests.
 */
interface Ids {
  case: string;
  notification: string;
  refused: string;
  discarded: string;
  erasure: string;
  /** Of the feed, before what was removed. */
  expired: string;
}

const requestsOf = (ids: Ids): Record<string, Request[]> => ({
  getLiveness: [{ path: '/health/live' }],
  getReadiness: [{ path: '/health/ready' }],
  getMetrics: [{ path: '/metrics' }],
  receiveNotification: [
    { path: webhookPath(), body: notification() },
    { path: webhookPath(), body: notification({ rows: [{}] }) },
  ],
  listWorkflows: [{ path: '/v1/workflows' }],
  getWorkflow: [{ path: '/v1/workflows/w' }],
  listNodeTasks: [{ path: '/v1/workflows/w/node-tasks?limit=1' }],
  listCases: [{ path: '/v1/cases?include_total=true&limit=1' }, { path: '/v1/cases?cursor=altered' }],
  lookupCases: [
    { path: '/v1/cases/lookup', body: { cases: [{ case_id: 'c' }] }, headers: { prefer: 'wait=1' } },
    { path: '/v1/cases/lookup', body: { cases: [{ case_id: 'unknown' }], strict: true } },
  ],
  exportCases: [{ path: '/v1/cases/export' }, { path: '/v1/cases/export?format=csv' }],
  countCompletions: [{ path: '/v1/stats/completions?interval=day&workflow_id=w' }],
  getCase: [{ path: `/v1/cases/${ids.case}` }],
  listCaseNotifications: [{ path: `/v1/cases/${ids.case}/notifications` }],
  getNotification: [{ path: `/v1/notifications/${ids.notification}` }],
  listQuarantine: [{ path: '/v1/quarantine' }],
  listQuarantineActions: [{ path: '/v1/quarantine/actions?limit=1' }],
  replayQuarantine: [
    { path: '/v1/quarantine/replay', body: { filter: { reason: 'invalid_fields' }, limit: 1 } },
    { path: '/v1/quarantine/replay', body: { cursor: 'altered' } },
  ],
  discardQuarantine: [
    { path: '/v1/quarantine/discard', body: { filter: { reason: 'not_json' }, reason: 'Why not?', dry_run: true } },
    { path: '/v1/quarantine/discard', body: { filter: { reason: 'not_json' }, reason: 'Why not?', cursor: 'altered' } },
  ],
  replayQuarantined: [{ path: `/v1/quarantine/${ids.refused}/replay` }],
  discardQuarantined: [{ path: `/v1/quarantine/${ids.discarded}/discard`, body: { reason: 'Why not?' } }],
  getQuarantined: [{ path: `/v1/quarantine/${ids.refused}` }],
  listReveals: [{ path: '/v1/audit?limit=1' }, { path: '/v1/audit?cursor=altered' }],
  erase: [{ path: '/v1/erasures', body: { callee_number: '+62000' } }],
  listErasures: [{ path: '/v1/erasures' }],
  getErasure: [{ path: `/v1/erasures/${ids.erasure}` }],
  listCompletions: [
    { path: '/v1/completions?limit=1', headers: { prefer: 'wait=1' } },
    { path: `/v1/completions?cursor=${ids.expired}` },
  ],
  streamCompletions: [
    { path: '/v1/completions/stream?from=now' },
    { path: `/v1/completions/stream?cursor=${ids.expired}` },
  ],
});

let document: Json;
let contract: Contract;
let requests: ReturnType<typeof requestsOf>;
const answers: [Operation, Answer][] = [];

beforeAll(async () => {
  document = JSON.parse(await readFile('openapi.json', 'utf8')) as Json;
  contract = new Contract(document);
  await askOfOneThatIsWell();
  await askWithoutTables();
  await askWithoutDatabaseAndDisk();
  await askOfOneBeingStopped();
  await askTooOften();
});

test('every status and content type that the document promises can be had, and none that it does not promise', () => {
  const had = answers.map(([{ id }, answer]) => `${id} ${answer.status} ${typeOf(answer)}`);
  expect([...new Set(had)].toSorted()).toEqual(contract.promises().toSorted());
});

test('every answer has the headers, the body and, where it is a problem, one of the codes that the document promises', () => {
  expect(answers.flatMap(([operation, answer]) => contract.faultsOf(operation, answer))).toEqual([]);
});

test('a time at either end of the calendar is answered as the document says, in every parameter that takes one', async () => {
  const service = await startService({ config: { apiKeys } });
  const times = [
    '0000-01-01T00:00:00Z',
    '0000-01-01T00:00:00+23:59',
    '0001-01-01T00:00:00Z',
    '9999-12-31T23:59:59.9999999Z',
    '9999-12-31T23:59:59-23:59',
  ];
  const targets = contract.operations.flatMap((operation) => {
    const { parameters = [] } = document['paths'][operation.path][operation.method] as { parameters?: Json[] };
    const names = parameters.filter(({ schema }) => schema.format === 'date-time').map(({ name }) => name as string);
    const intervals = operation.id === 'countCompletions' ? ['&interval=hour', '&interval=day'] : [''];
    const searches = names.flatMap((name) => times.map((time) => new URLSearchParams({ [name]: time }).toString()));
    const all = searches.flatMap((search) => intervals.map((interval) => search + interval));
    return all.map((search) => [operation, `${operation.path}?${search}`] as const);
  });
  const faults: string[] = [];
  for (const [operation, path] of targets) {
    const answer = await ask(service.url, operation, { path });
    if (![200, 400].includes(answer.status)) faults.push(`${path}: ${answer.status}`);
    faults.push(...contract.faultsOf(operation, answer).map((fault) => `${path}: ${fault}`));
  }
  await service.stop();
  const asked = ['countCompletions', 'exportCases', 'listCases', 'listQuarantine', 'listReveals'];
  expect([...new Set(targets.map(([{ id }]) => id))].toSorted()).toEqual(asked);
  expect(faults).toEqual([]);
});

async function askOfOneThatIsWell(): Promise<void> {
  const service = await startService({ config: { apiKeys } });
  const { next_cursor: expired } = (await service.get('/v1/completions')).body;
  await service.database.query('UPDATE feed_clock SET removed_position = 0');
  const about = { workflow_id: 'w', case_id: 'c' };
  const kept = (await service.post(notification(about))).headers.get('x-request-id') ?? '';
  await service.post(notification({ ...about, case_id: 'd' }));
  const refused = (await service.post(notification({ ...about, rows: [{}] }))).body['request_id'] as string;
  const discarded = (await service.post('not JSON')).body['request_id'] as string;
  const { case: found } = (await service.get(`/v1/notifications/${kept}`)).body;
  const erasure = await send(`${service.url}/v1/erasures`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${ALL_KEY}` },
    body: JSON.stringify({ callee_number: '+62000' }),
  });
  requests = requestsOf({
    case: found.id,
    notification: kept,
    refused,
    discarded,
    erasure: erasure.body['id'],
    expired,
  });
  await askAll(service, waysToAsk);
  await service.stop();
}

async function askWithoutTables(): Promise<void> {
  const service = await startService({ config: { apiKeys } });
  await service.database.query('DROP SCHEMA public CASCADE');
  await askAll(service);
  await service.stop();
}

async function askWithoutDatabaseAndDisk(): Promise<void> {
  const database = await createDatabase();
  const service = await startService({ database, config: { apiKeys, spoolMaxBytes: 0 } });
  await database.drop();
  await service.post(notification()); // only now is it known that the disk takes nothing
  await askAll(service);
  await service.stop();
}

async function askOfOneBeingStopped(): Promise<void> {
  const service = await startService({ config: { apiKeys } });
  await service.app.get(ConnectionTracker).refuseNew(0);
  await askAll(service);
  await service.stop();
}

async function askTooOften(): Promise<void> {
  const service = await startService({ config: { apiKeys, rateLimitPerKey: 1, rateLimitFailures: 1 } });
  await service.get('/v1/workflows');
  await service.get('/v1/workflows', 'wrong');
  await askAll(service, (request, operation) => [{ ...request, path: toNothing(operation) }]);
  await service.stop();
}

async function askAll({ url }: TestService, ways: typeof waysToAsk = (request) => [request]): Promise<void> {
  for (const operation of contract.operations) {
    for (const request of requests[operation.id] ?? []) {
      for (const way of ways(request, operation)) answers.push([operation, await ask(url, operation, way)]);
    }
  }
}

/** As its caller should, and in every way that any operation refuses; of those that do not, it is answered all the same. */
function waysToAsk(request: Request, operation: Operation): Request[] {
  const { path: address, headers } = request;
  const { hasBody } = operation;
  const large = ' '.repeat(4 * 1_048_576 + 1);
  return [
    request,
    { ...request, headers: { ...headers, 'if-none-match': '*' } },
    { ...request, headers: { ...headers, authorization: '' } },
    { ...request, headers: { ...headers, authorization: `Bearer ${BLIND_KEY}` } },
    { ...request, headers: { ...headers, accept: 'image/png' } },
    { ...request, path: `${address}${address.includes('?') ? '&' : '?'}unknown=1` },
    { ...request, path: toNothing(operation) },
    ...(hasBody
      ? [
          { ...request, body: '{' },
          { ...request, body: large },
        ]
      : []),
    ...(hasBody ? [{ ...request, headers: { 'content-type': 'text/csv' } }] : []),
  ];
}

/** Where there is nothing, behind a token that is none. */
function toNothing({ path }: Operation): string {
  return path.replace('{id}', randomUUID()).replaceAll(/\{\w+\}/g, 'unknown');
}

async function ask(url: string, { method }: Operation, { path, body, headers }: Request): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${ALL_KEY}`, 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await read(response);
  const isJson = /[/+]json/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, text, body: isJson ? (JSON.parse(text) as Json) : {} };
}

/** Of a stream of events, which never ends, only what comes first. */
async function read(response: Response): Promise<string> {
  if (response.headers.get('content-type') !== 'text/event-stream') return response.text();
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return new TextDecoder().decode(value);
}
