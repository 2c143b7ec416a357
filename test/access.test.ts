import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeApiKey, type Scope } from '../src/access/api-key.js';
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

let service: TestService;
let endpoints: { path: string; scope: Scope }[];
beforeAll(async () => {
  service = await startService({
    config: { apiKeys: SCOPE_SETS.map((scopes) => makeApiKey(scopes.join('-'), scopes, keyOf(scopes))) },
  });
  const { body } = await send(`${service.url}/openapi.json`);
  endpoints = Object.entries(body['paths'] as Json).flatMap(([path, { get }]) =>
    path.startsWith('/v1')
      ? [{ path: path.replaceAll(/\{\w+\}/g, '01234567-89ab-7def-8123-456789abcdef'), scope: get['x-scope'] as Scope }]
      : [],
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
    for (const { path } of endpoints) {
      const answer = await send(`${service.url}${path}`, {
        headers: authorization === undefined ? {} : { authorization },
      });
      expect(answer.status, path).toBe(401);
      expect(answer.body['code']).toBe('unauthorized');
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
  });

  test.each(SCOPE_SETS.map((scopes) => [scopes.join('+'), scopes] as const))(
    'with %s opens what its scopes open',
    async (_, scopes) => {
      for (const { path, scope } of endpoints) {
        const answer = await service.get(path, keyOf(scopes));
        if (scopes.includes(scope)) expect([200, 404], path).toContain(answer.status);
        else expect(answer.body['code'], path).toBe('insufficient_scope');
      }
    },
  );

  test('tells nothing about bad parameters to those who have no key', async () => {
    expect((await send(`${service.url}/v1/cases?limit=x`)).status).toBe(401);
  });
});

test('an unknown parameter is refused by every endpoint under /v1, whatever its name', async () => {
  for (const { path } of endpoints) {
    for (const name of ['unknown', 'constructor', 'toString', 'limit ']) {
      const answer = await service.get(`${path}?${encodeURIComponent(name)}=1`, keyOf(['read', 'operate']));
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
