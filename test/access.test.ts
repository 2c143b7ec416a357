import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeApiKey, type Scope } from '../src/config/api-key.js';
import { type Json, send, startService, type TestService, TOKEN } from './support/service.js';

const SCOPE_SETS: Scope[][] = [
  ['read'],
  ['reveal'],
  ['operate'],
  ['read', 'reveal'],
  ['read', 'operate'],
  ['operate', 'reveal'],
];
const keyOf = (scopes: readonly Scope[]): string => `key-${scopes.join('-')}`;

/** What the endpoints that are posted to are asked, by the end of their paths. */
const ASKED: [end: RegExp, body: Json][] = [
  [/lookup$/, { cases: [{ case_id: 'a' }] }],
  [/erasures$/, { callee_number: '+62000' }],
  [/replay$/, {}],
  [/quarantine\/discard$/, { filter: { reason: 'not_json' }, reason: 'Noise.' }],
  [/discard$/, { reason: 'Noise.' }],
];
const askedOf = (path: string): string => JSON.stringify(ASKED.find(([end]) => end.test(path))?.[1]);

let service: TestService;
let endpoints: { method: string; path: string; scope: Scope }[];
beforeAll(async () => {
  service = await startService({
    config: { apiKeys: SCOPE_SETS.map((scopes) => makeApiKey(scopes.join('-'), scopes, keyOf(scopes))) },
  });
  const { body } = await send(`${service.url}/openapi.json`);
  endpoints = Object.entries(body['paths'] as Json)
    .filter(([path]) => path.startsWith('/v1'))
    .flatMap(([path, operations]) =>
      Object.entries(operations as Json).map(([method, operation]) => ({
        method: method.toUpperCase(),
        path: path.replaceAll(/\{\w+\}/g, '01234567-89ab-7def-8123-456789abcdef'),
        scope: (operation as Json)['x-scope'] as Scope,
      })),
    );
});
afterAll(async () => service.stop());

describe('every endpoint under /v1', () => {
  test.each([
    ['no key', undefined],
    ['an unknown key', 'Bearer wrong'],
    ['a key that is only the start of one', `Bearer ${keyOf(['read']).slice(0, -1)}`],
    ['an empty key', 'Bearer '],
    ['another scheme', `Basic ${keyOf(['read'])}`],
    ['the webhook token', `Bearer ${TOKEN}`],
    ['a key without its scheme', keyOf(['read'])],
  ])('answers 401 to %s', async (_, authorization) => {
    expect(endpoints.length).toBeGreaterThan(8);
    for (const { method, path } of endpoints) {
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
      const answer = await send(`${service.url}${path}`, { method, headers });
      expect(answer.status, path).toBe(401);
      expect(answer.body['code']).toBe('unauthorized');
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
  });

  test.each(SCOPE_SETS.map((scopes) => [scopes.join('+'), scopes] as const))(
    'with %s opens what its scopes open',
    async (_, scopes) => {
      for (const { method, path, scope } of endpoints) {
        const answer = await fetch(`${service.url}${path}`, {
          method,
          headers: { authorization: `Bearer ${keyOf(scopes)}`, 'content-type': 'application/json' },
          ...(method === 'POST' && { body: askedOf(path) }),
        });
        if (scopes.includes(scope)) {
          expect([200, 201, 404], path).toContain(answer.status);
          await answer.body?.cancel(); // a stream goes on for ever
        } else expect(await answer.json(), path).toMatchObject({ status: 403, code: 'insufficient_scope' });
      }
    },
  );

  test('tells nothing about bad parameters to those who have no key', async () => {
    expect((await send(`${service.url}/v1/cases?limit=x`)).status).toBe(401);
  });
});

test('an unknown parameter is refused by every endpoint under /v1, whatever its name', async () => {
  for (const { method, path } of endpoints) {
    for (const name of ['unknown', 'constructor', 'toString', 'limit ']) {
      const answer = await send(`${service.url}${path}?${encodeURIComponent(name)}=1`, {
        method,
        headers: { authorization: `Bearer ${keyOf(['read', 'operate'])}`, 'content-type': 'application/json' },
        ...(method === 'POST' && { body: askedOf(path) }),
      });
      expect(answer.status, `${path} ${name}`).toBe(400);
      expect(answer.body).toMatchObject({ code: 'invalid_request', errors: [{ message: 'is not a known parameter' }] });
    }
  }
});

test('an API key does not open the webhook', async () => {
  const answer = await send(`${service.url}/webhooks/airudder/${keyOf(['read'])}/workflow-list-completion`, {
    method: 'POST',
  });
  expect(answer.status).toBe(404);
});

test('health, metrics and the document need no key', async () => {
  for (const path of ['/health/live', '/health/ready', '/metrics', '/openapi.json', '/docs']) {
    expect((await send(`${service.url}${path}`)).status, path).toBe(200);
  }
});
