import { afterEach, describe, expect, test } from 'vitest';
import { makeApiKey } from '../src/config/api-key.js';
import { parseRanges } from '../src/config/ip-ranges.js';
import type { Config } from '../src/config/config.js';
import {
  ALL_KEY,
  type Answer,
  notification,
  READ_KEY,
  send,
  startService,
  type TestService,
  webhookPath,
} from './support/service.js';

let service: TestService;
afterEach(async () => service.stop());

/** All of these tests are over well within the minute that begins with their first request. */
const start = async (config: Partial<Config>): Promise<void> => {
  service = await startService({ config: { trustProxy: 1, ...config } });
};

const ask = async (key: string, from = '192.0.2.1', path = '/v1/workflows'): Promise<Answer> =>
  send(`${service.url}${path}`, { headers: { authorization: `Bearer ${key}`, 'x-forwarded-for': from } });

const post = async (token: string | undefined, from = '192.0.2.1', way = ''): Promise<Answer> =>
  send(`${service.url}${webhookPath(token)}${way}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': from },
    body: JSON.stringify(notification()),
  });

const statuses = async (count: number, request: () => Promise<Answer>): Promise<number[]> => {
  const seen: number[] = [];
  for (let n = 0; n < count; n += 1) seen.push((await request()).status);
  return seen;
};

test('a key that asks too often is told when to come back; other keys, and the webhook, go on', async () => {
  await start({ rateLimitPerKey: 3 });
  expect(await statuses(4, async () => ask(READ_KEY))).toEqual([200, 200, 200, 429]);
  const refused = await ask(READ_KEY, '192.0.2.99'); // from wherever
  expect(refused.body).toMatchObject({ status: 429, code: 'too_many_requests' });
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(60);
  expect((await ask(ALL_KEY)).status).toBe(200);
  expect((await post(undefined)).status).toBe(200);
  expect((await send(`${service.url}/metrics`)).text).toMatch('\nairudder_rate_limited_total{limit="key"} 2\n');
});

test('an address that asks too often is held back with whatever key, and no other address', async () => {
  await start({ rateLimitPerAddress: 2 });
  expect(await statuses(3, async () => ask(READ_KEY))).toEqual([200, 200, 429]);
  expect((await ask(ALL_KEY)).status).toBe(429);
  expect((await ask(ALL_KEY, '192.0.2.2')).status).toBe(200);
  expect((await ask(ALL_KEY, '2001:db8::1')).status).toBe(200);
  expect((await ask(ALL_KEY, '2001:db8::2')).status).toBe(200);
  expect((await ask(ALL_KEY, '2001:db8::3')).status).toBe(429); // the same /64
  expect((await ask(ALL_KEY, '2001:db8:0:1::1')).status).toBe(200);
});

test('an answer tells how much is left, and of what', async () => {
  await start({ rateLimitPerKey: 5, rateLimitPerAddress: 10 });
  const { headers } = await ask(READ_KEY);
  expect(headers.get('ratelimit-policy')).toBe('"address";q=10;w=60, "key";q=5;w=60');
  expect(headers.get('ratelimit')).toBe('"address";r=9;t=60, "key";r=4;t=60');
  expect((await ask(READ_KEY)).headers.get('ratelimit')).toMatch(/^"address";r=8;t=\d+, "key";r=3;t=\d+$/);
});

describe('wrong tokens and keys', () => {
  test.each([
    ['wrong tokens', async () => post('wrong'), 404],
    ['wrong tokens, the long way', async () => post('wrong', undefined, '?long'), 404],
    ['wrong keys', async () => ask('wrong'), 401],
  ])('%s are counted by the address, and hold up nobody with the right ones there', async (_, request, status) => {
    await start({ rateLimitFailures: 3 });
    expect(await statuses(5, request)).toEqual([status, status, status, 429, 429]);
    expect((await post('wrong')).status).toBe(429);
    expect((await post('wrong', undefined, '?long')).status).toBe(429);
    expect((await ask('wrong')).status).toBe(429);
    expect((await ask('wrong', '192.0.2.2')).status).toBe(401);
    expect((await post(undefined)).status).toBe(200);
    expect((await ask(READ_KEY)).status).toBe(200);
    const refused = await post('wrong');
    expect(refused.body).toMatchObject({ status: 429, code: 'too_many_requests' });
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(refused.headers.get('ratelimit')).toMatch(/^"failures";r=0;t=\d+$/);
  });

  test('a right token from an address that is not allowed counts as a wrong one', async () => {
    await start({ rateLimitFailures: 2, webhookAllowedAddresses: parseRanges('203.0.113.0/24') });
    expect(await statuses(3, async () => post(undefined))).toEqual([404, 404, 429]);
    expect((await post(undefined, '203.0.113.9')).status).toBe(200);
  });

  test('a forged X-Forwarded-For makes nobody a new client', async () => {
    await start({ rateLimitFailures: 2, trustProxy: [] });
    const forge = async (n: number): Promise<number> => (await post('wrong', `192.0.2.${n}`)).status;
    expect([await forge(1), await forge(2), await forge(3)]).toEqual([404, 404, 429]);
  });
});

test("the provider's burst is never limited", async () => {
  await start({ rateLimitPerKey: 1, rateLimitPerAddress: 1, rateLimitFailures: 1 });
  expect(new Set(await statuses(50, async () => post(undefined)))).toEqual(new Set([200]));
  // A kind that is not known is no wrong token.
  const unknown = `${service.url}${webhookPath(undefined, 'unknown')}`;
  expect(await statuses(3, async () => send(unknown, { method: 'POST' }))).toEqual([404, 404, 404]);
});

test('keys and tokens given as SHA-256 open what they are the digest of, and themselves open nothing', async () => {
  const digest = 'sha256:9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08'; // of "test"
  await start({ webhookTokens: [digest], apiKeys: [makeApiKey('digested', ['read'], digest)] });
  expect((await post('test')).status).toBe(200);
  expect((await ask('test')).status).toBe(200);
  expect((await post(encodeURIComponent(digest))).status).toBe(404);
  expect((await ask(digest)).status).toBe(401);
});
