import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { Controller, Get, Header, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { ApiOkResponse } from '@nestjs/swagger';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serveOpenApi } from '../src/http/rest/openapi.js';
import { applyResponseHeaders } from '../src/http/rest/response-headers.js';
import { ProblemFilter } from '../src/http/problem/problem.filter.js';
import { PROBLEMS } from '../src/http/problem/problem.js';
import {
  ALL_KEY,
  type Answer,
  type Json,
  notification,
  READ_KEY,
  send,
  startService,
  type TestService,
  webhookPath,
} from './support/service.js';

const NUMBER = '+62 123&456';
const CASES = 60;

/** Codes below 500 whose requests may fare better later. */
const PASSING = new Set(['incomplete_body', 'request_timeout', 'too_many_requests']);

let service: TestService;
let caseId: string;
/** Every GET under /v1, and of these the ones that answer with JSON, which ends. */
let allPaths: string[];
let paths: string[];
beforeAll(async () => {
  service = await startService();
  let notificationId = '';
  for (let n = 0; n < CASES; n += 1) {
    const body = notification({ case_id: `ü${n}`, callee_number: NUMBER, workflow_id: 'w/1' });
    notificationId = (await service.post(body)).headers.get('x-request-id') ?? '';
  }
  const refusedId: string = (await service.post('{')).body['request_id'];
  caseId = (await service.get('/v1/cases?limit=1')).body['data'][0].id;
  const document = (await send(`${service.url}/openapi.json`)).body;
  const gets = Object.entries(document['paths'] as Json).filter(([path, each]) => /^.v1/.test(path) && each.get);
  const fill = ([path]: [string, Json]): string =>
    path
      .replace('{workflow_id}', 'w%2F1')
      .replace('cases/{id}', `cases/${caseId}`)
      .replace('notifications/{id}', `notifications/${notificationId}`)
      .replace('quarantine/{id}', `quarantine/${refusedId}`);
  allPaths = gets.map(fill);
  paths = gets.filter(([, { get }]) => get.responses[200].content['application/json']).map(fill);
});
afterAll(async () => service.stop());

const as = (key: string, headers: Record<string, string> = {}): Record<string, string> => ({
  authorization: `Bearer ${key}`,
  ...headers,
});

interface RawAnswer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
}

/** As a client that adds no header of its own. */
async function ask(path: string, method = 'GET', headers: Record<string, string> = as(ALL_KEY)): Promise<RawAnswer> {
  return askOf(service.url, path, method, headers);
}

async function askOf(
  url: string,
  path: string,
  method: string,
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(`${url}${path}`, { method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk)).once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode, headers: response.headers, bytes: Buffer.concat(chunks) }),
      );
    });
    sent.once('error', reject).end();
  });
}

/** But for what is of one answer alone. */
function comparable({ date: _date, 'x-request-id': _id, ...headers }: IncomingHttpHeaders): IncomingHttpHeaders {
  return headers;
}

describe('an answer that has not changed', () => {
  test('is 304 without a body, with its own request id, until something changes', async () => {
    const path = `/v1/cases/${caseId}`;
    const first = await service.get(path);
    const etag = first.headers.get('etag') ?? '';
    const again = await send(`${service.url}${path}`, { headers: as(ALL_KEY, { 'if-none-match': etag }) });
    expect([again.status, again.text]).toEqual([304, '']);
    expect(again.headers.get('etag')).toBe(etag);
    expect(again.headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/);
    expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'));
    expect(again.headers.get('cache-control')).toBe('private, no-store');

    await service.post(notification({ case_id: `ü${CASES - 1}`, callee_number: NUMBER, workflow_id: 'w/1' }));
    const changed = await send(`${service.url}${path}`, { headers: as(ALL_KEY, { 'if-none-match': etag }) });
    expect(changed.status).toBe(200);
    expect(changed.body['notification_count']).toBe(2);
  });

  test('has another tag for a key that sees whole numbers than for one that does not', async () => {
    const [seen, masked] = [
      await service.get(`/v1/cases/${caseId}`),
      await service.get(`/v1/cases/${caseId}`, READ_KEY),
    ];
    expect(seen.headers.get('etag')).toBeTruthy();
    expect(masked.headers.get('etag')).toBeTruthy();
    expect(masked.headers.get('etag')).not.toBe(seen.headers.get('etag'));
  });

  test('has one tag however it is compressed', async () => {
    const plain = await ask('/v1/cases');
    const zipped = await ask('/v1/cases', 'GET', as(ALL_KEY, { 'accept-encoding': 'gzip' }));
    expect(zipped.headers['content-encoding']).toBe('gzip');
    expect(zipped.headers.etag).toBe(plain.headers.etag);
  });

  test('is not looked for in errors: they have no tag', async () => {
    const { headers } = await service.get('/v1/cases?limit=0');
    expect(headers.get('etag')).toBeNull();
  });
});

describe('Link', () => {
  test.each([
    `/v1/cases?limit=25&callee_number=${encodeURIComponent(NUMBER)}&workflow_id=w%2F1`,
    '/v1/cases?limit=25&callee_number=+62%20123%26456&order=asc',
    '/v1/workflows/w%2F1/node-tasks?limit=2',
  ])('leads through all pages of %s, and is not there on the last one', async (path) => {
    const whole = await service.get(path.replace(/limit=\d+/, 'limit=1000'));
    const seen: unknown[] = [];
    let next: string | undefined = `${service.url}${path}`;
    while (next !== undefined) {
      const page: Answer = await send(next, { headers: as(ALL_KEY) });
      expect(page.status).toBe(200);
      seen.push(...page.body['data']);
      const target: string | undefined = /^<([^<>]+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1];
      expect(target === undefined).toBe(page.body['next_cursor'] === null);
      next = target === undefined ? undefined : new URL(target, next).href;
    }
    expect(seen).toEqual(whole.body['data']);
    expect(whole.headers.get('link')).toBeNull();
  });
});

describe('compression', () => {
  test('is for those who ask for it, and changes nothing in the answer', async () => {
    for (const path of ['/v1/cases', '/openapi.json', '/docs/swagger-ui.css']) {
      const plain = await ask(path);
      const zipped = await ask(path, 'GET', as(ALL_KEY, { 'accept-encoding': 'gzip' }));
      expect(plain.headers['content-encoding'], path).toBeUndefined();
      expect(zipped.headers['content-encoding'], path).toBe('gzip');
      expect(plain.headers.vary, path).toBe('Accept-Encoding');
      expect(zipped.headers.vary, path).toBe('Accept-Encoding');
      expect(gunzipSync(zipped.bytes).equals(plain.bytes), path).toBe(true);
      expect(zipped.bytes.length, path).toBeLessThan(plain.bytes.length / 2);
    }
  });

  test('leaves the webhook alone', async () => {
    const { headers } = await service.post('{', { 'accept-encoding': 'gzip' });
    expect(headers.get('vary')).toBeNull();
    expect(headers.get('content-encoding')).toBeNull();
  });
});

test('nothing may store what is answered under /v1, errors and unknown addresses included', async () => {
  for (const path of [...paths, '/v1/cases?limit=0', '/v1/nowhere']) {
    for (const headers of [as(ALL_KEY), as(READ_KEY), {}]) {
      expect((await ask(path, 'GET', headers)).headers['cache-control'], path).toBe('private, no-store');
    }
  }
});

test('a page can be framed by no other origin, and runs no scripts of others', async () => {
  for (const path of ['/docs', '/docs/problems/not_found', '/openapi.json', '/v1/cases', '/nowhere']) {
    const { headers } = await ask(path, 'GET', {});
    const policy = String(headers['content-security-policy']).split(';');
    for (const rule of ["frame-ancestors 'self'", "script-src 'self'", "script-src-attr 'none'", "object-src 'none'"])
      expect(policy, path).toContain(rule);
    expect(headers['x-frame-options'], path).toBe('SAMEORIGIN');
  }
});

describe('HEAD', () => {
  test('has the status and the headers of GET and no body, for every GET under /v1', async () => {
    expect(paths.length).toBeGreaterThan(8);
    for (const path of [...paths, '/v1/cases?limit=0', '/v1/cases?limit=3', '/v1/nowhere']) {
      for (const headers of [as(ALL_KEY), as(READ_KEY), {}, as(ALL_KEY, { accept: 'image/png' })]) {
        const get = await ask(path, 'GET', headers);
        const head = await ask(path, 'HEAD', headers);
        expect(head.status, path).toBe(get.status);
        expect(comparable(head.headers), path).toEqual(comparable(get.headers));
        expect(head.bytes).toHaveLength(0);
      }
    }
  });

  test('tells no length where the answer to GET would be compressed', async () => {
    const { status, headers } = await ask('/v1/cases', 'HEAD', as(ALL_KEY, { 'accept-encoding': 'gzip' }));
    expect([status, headers['content-length']]).toEqual([200, undefined]);
  });
});

describe('another method', () => {
  test('on a known path is 405 with Allow, whoever asks', async () => {
    for (const path of [...allPaths, '/health/live', '/metrics', '/openapi.json', '/docs']) {
      for (const method of ['PUT', 'PATCH', 'DELETE', 'TRACE']) {
        const { status, headers, bytes } = await ask(path, method, {});
        expect(status, `${method} ${path}`).toBe(405);
        expect(headers.allow).toMatch(/^GET, HEAD(, POST)?, OPTIONS$/);
        const problem = JSON.parse(bytes.toString()) as Json;
        expect(problem).toMatchObject({ code: 'method_not_allowed', request_id: headers['x-request-id'] });
        expect(headers['x-content-type-options']).toBe('nosniff');
      }
    }
  });

  test('OPTIONS on a known path is 204 with Allow, and opens it to no other origin', async () => {
    const { status, headers } = await ask('/v1/cases', 'OPTIONS', { origin: 'https://elsewhere.example' });
    expect([status, headers.allow]).toEqual([204, 'GET, HEAD, OPTIONS']);
    expect(headers['x-request-id']).toBeTruthy();
    expect(headers['access-control-allow-origin']).toBeUndefined();
  });

  test('on an unknown path is 404, with the headers that protect a browser', async () => {
    for (const method of ['GET', 'POST', 'OPTIONS', 'DELETE']) {
      const { status, headers } = await ask('/nowhere', method);
      expect(status, method).toBe(404);
      expect(headers['content-security-policy']).toBeTruthy();
      expect(headers['x-request-id']).toBeTruthy();
    }
  });

  test('on the webhook does not tell a right token from a wrong one', async () => {
    for (const method of ['GET', 'HEAD', 'PUT', 'OPTIONS']) {
      const [right, wrong] = [await ask(webhookPath(), method), await ask(webhookPath('wrong', 'unknown'), method)];
      expect(right.status).toBe(method === 'OPTIONS' ? 204 : 405);
      expect(right.headers.allow).toBe('POST, OPTIONS');
      expect([wrong.status, comparable(wrong.headers)]).toEqual([right.status, comparable(right.headers)]);
    }
  });
});

describe('Accept', () => {
  test.each([
    undefined,
    '*/*',
    'application/*',
    'application/json',
    'application/json; charset=UTF-8',
    'text/html, application/json;q=0.5',
    'text/html, */*;q=0.1',
  ])('%s takes JSON', async (accept) => {
    for (const path of paths) {
      const { status, headers } = await ask(path, 'GET', as(ALL_KEY, accept === undefined ? {} : { accept }));
      expect(status, path).not.toBe(406);
      expect(headers['content-type'], path).toMatch(/json; charset=utf-8$/);
    }
  });

  test.each(['text/html', 'image/*', 'application/json;q=0, image/png'])(
    '%s rules it out, which is 406 as a problem in JSON for those who have a key',
    async (accept) => {
      for (const path of allPaths) {
        const { status, headers, bytes } = await ask(path, 'GET', as(ALL_KEY, { accept }));
        expect(status, path).toBe(406);
        expect(headers['content-type']).toBe('application/problem+json; charset=utf-8');
        const problem = JSON.parse(bytes.toString()) as Json;
        expect(problem).toMatchObject({ code: 'not_acceptable', request_id: headers['x-request-id'] });
        expect((await ask(path, 'GET', { accept })).status, path).toBe(401);
      }
    },
  );
});

test.each(Object.entries(PROBLEMS))(
  'the page of the problem %s says what it means, what to do, and whether to try again',
  async (code, { status, title, meaning, remedy }) => {
    const { text } = await send(`${service.url}/docs/problems/${code}`);
    for (const told of [`HTTP ${status}`, title, meaning, remedy]) expect(text).toContain(told);
    expect(text).toMatch(status >= 500 || PASSING.has(code) ? /Yes/ : /No:/);
  },
);

/** The same rules over endpoints of each sort, so that what is true of all is shown for those that are yet to come. */
describe('an endpoint', () => {
  let started = 0;

  async function* rows(): AsyncGenerator<string> {
    started += 1;
    for (let n = 0; n < 1000; n += 1) yield `{"n":${n}}\n`;
  }

  @Controller('v1')
  class Endpoints {
    @Get('rows')
    @ApiOkResponse({ content: { 'application/x-ndjson': {}, 'text/csv': {} } })
    @Header('Content-Type', 'application/x-ndjson')
    rows(): AsyncGenerator<string> {
      return rows();
    }

    @Get('events')
    @ApiOkResponse({ content: { 'text/event-stream': {} } })
    @Header('Content-Type', 'text/event-stream')
    events(): AsyncGenerator<string> {
      return rows();
    }

    @Get(':id')
    get(): object {
      return { id: 'x' };
    }

    @Post('lookup')
    lookup(): object {
      return { next_cursor: 'not a list that is asked for by its address' };
    }
  }
  @Module({ controllers: [Endpoints] })
  class EndpointsModule {}

  let app: NestExpressApplication;
  let url: string;
  beforeAll(async () => {
    app = await NestFactory.create<NestExpressApplication>(EndpointsModule, { logger: false });
    applyResponseHeaders(app);
    serveOpenApi(app);
    app.useGlobalFilters(new ProblemFilter());
    await app.listen(0, '127.0.0.1');
    url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
  });
  afterAll(async () => app.close());

  test('that streams is not even begun for HEAD', async () => {
    for (const path of ['/v1/rows', '/v1/events']) {
      const before = started;
      const head = await askOf(url, path, 'HEAD');
      expect([head.status, head.bytes.length, started]).toEqual([200, 0, before]);
      const get = await askOf(url, path, 'GET');
      expect(started).toBe(before + 1);
      expect(head.headers['content-type']).toBe(get.headers['content-type']);
    }
  });

  test('that streams rows is compressed, and one that sends events never is', async () => {
    const zipped = await askOf(url, '/v1/rows', 'GET', { 'accept-encoding': 'gzip' });
    expect(zipped.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(zipped.bytes).toString()).toMatch(/^\{"n":0\}\n(.*\n){998}\{"n":999\}\n$/);
    const events = await askOf(url, '/v1/events', 'GET', { 'accept-encoding': 'gzip' });
    expect(events.headers['content-encoding']).toBeUndefined();
  });

  test('answers whoever takes one of the content types that it documents', async () => {
    for (const [path, accept, status] of [
      ['/v1/rows', 'text/csv', 200],
      ['/v1/rows', 'application/x-ndjson', 200],
      ['/v1/rows', 'application/json', 406],
      ['/v1/events', 'text/event-stream', 200],
      ['/v1/events', 'text/csv', 406],
    ] as const) {
      expect((await askOf(url, path, 'GET', { accept })).status, `${path} ${accept}`).toBe(status);
    }
  });

  test('that is posted to gives its answer neither a tag nor a link', async () => {
    const { status, headers } = await askOf(url, '/v1/lookup', 'POST');
    expect([status, headers.etag, headers.link]).toEqual([201, undefined, undefined]);
  });

  test('at a path of its own is not taken for a value of the parameter beside it', async () => {
    const { status, headers } = await askOf(url, '/v1/lookup', 'GET');
    expect([status, headers.allow]).toEqual([405, 'POST, OPTIONS']);
    expect((await askOf(url, '/v1/lookups', 'GET')).status).toBe(200);
  });
});
