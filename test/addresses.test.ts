import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { networkOf, parseAddress, parseRanges } from '../src/config/ip-ranges.js';
import { ClientAddress } from '../src/access/rate-limit/client-address.js';
import type { Config } from '../src/config/config.js';
import { notification, startService, type TestService, webhookPath } from './support/service.js';

const ALLOWED = parseRanges('203.0.113.0/24, 198.51.100.7, 2001:db8:5::/48');

/** The short way, and the one through Express. */
const WAYS = [webhookPath(), `${webhookPath()}?long`];

describe.each([
  ['by its address', parseRanges('127.0.0.0/8')],
  ['by the number of proxies', 1],
])('behind a proxy that is trusted %s, the webhook is open', (_, trustProxy) => {
  let service: TestService;
  beforeAll(async () => {
    service = await startService({ config: { webhookAllowedAddresses: ALLOWED, trustProxy } });
  });
  afterAll(async () => service.stop());

  test.each([
    ['203.0.113.9', 200],
    ['203.0.113.9:4711', 200],
    ['::ffff:203.0.113.9', 200],
    ['::ffff:cb00:7109', 200],
    ['198.51.100.7', 200],
    ['2001:db8:5:1::9', 200],
    ['[2001:db8:5:1::9]:4711', 200],
    ['2001:DB8:5:0:0:0:0:9', 200],
    ['192.0.2.1, 203.0.113.9', 200], // what the client claims does it no harm either
    ['192.0.2.1', 404],
    ['198.51.100.8', 404],
    ['2001:db8:6::9', 404],
    ['203.0.113.9, 192.0.2.1', 404], // forged by a client at 192.0.2.1
    ['203.0.113.9,192.0.2.1', 404],
    ['203.0.113.9, unknown', 404],
    ['203.0.113.9, ', 404],
    ['203.0.113.256', 404],
    ['0313.0.0161.011', 404],
    ['3405803785', 404],
    ['', 404],
  ])('to %s with %i', async (forwarded, status) => {
    for (const path of WAYS) expect((await post(service, path, forwarded)).status, path).toBe(status);
  });
});

describe('with no proxy trusted', () => {
  test.each([
    ['127.0.0.1, ::1', 200],
    ['203.0.113.0/24', 404],
  ])('the connection itself counts: allowed %s, it is %i, whatever is claimed', async (allowed, status) => {
    const service = await startService({ config: { webhookAllowedAddresses: parseRanges(allowed) } });
    for (const path of WAYS) {
      for (const forwarded of ['203.0.113.9', '127.0.0.1', 'nonsense']) {
        expect((await post(service, path, forwarded)).status, path).toBe(status);
      }
    }
    await service.stop();
  });
});

test('who may not call is answered like one with a wrong token, and only counted', async () => {
  const service = await startService({ config: { webhookAllowedAddresses: ALLOWED } });
  const turnedAway = await service.post(notification());
  const stranger = await post(service, webhookPath('wrong'), '');
  const plain = (answer: Record<string, unknown>): object => ({ ...answer, request_id: '' });
  expect(plain(turnedAway.body)).toEqual(plain((await stranger.json()) as Record<string, unknown>));
  expect([...turnedAway.headers.keys()]).toEqual([...stranger.headers.keys()]);
  expect((await service.get('/metrics')).text).toMatch('\nairudder_addresses_refused_total 1\n');
  expect((await service.get('/v1/cases')).body['data']).toEqual([]);
  await service.stop();
});

describe('the address of a client', () => {
  const addressOf = (
    trustProxy: Config['trustProxy'],
    remoteAddress: string | undefined,
    forwarded?: string,
  ): string => {
    const request = { socket: { remoteAddress }, headers: { 'x-forwarded-for': forwarded } };
    return String(new ClientAddress({ trustProxy } as Config).of(request as unknown as IncomingMessage));
  };

  test.each<[Config['trustProxy'], string | undefined, string | undefined, string]>([
    [[], '::ffff:192.0.2.1', undefined, '192.0.2.1'],
    [[], '192.0.2.1', '10.0.0.1', '192.0.2.1'],
    [[], undefined, '10.0.0.1', 'undefined'],
    [2, '10.0.0.2', '192.0.2.1, 10.0.0.1', '192.0.2.1'],
    [2, '10.0.0.2', '203.0.113.9, 192.0.2.1, 10.0.0.1', '192.0.2.1'],
    [2, '10.0.0.2', '192.0.2.1', '192.0.2.1'],
    [parseRanges('10.0.0.0/8'), '::ffff:10.0.0.2', '203.0.113.9, 192.0.2.1, 10.0.0.1', '192.0.2.1'],
    [parseRanges('::ffff:10.0.0.0/104'), '10.0.0.2', '192.0.2.1', '192.0.2.1'],
    [parseRanges('10.0.0.0/8'), '10.0.0.2', undefined, '10.0.0.2'],
    [parseRanges('10.0.0.0/8'), '10.0.0.2', '10.0.0.3', '10.0.0.3'],
    [parseRanges('fd00::/8'), 'fd00::1', '2001:db8::9', '2001:db8::9'],
    [parseRanges('10.0.0.0/8'), '192.0.2.66', '203.0.113.9', '192.0.2.66'],
  ])('is, trusting %j, connected from %s and with X-Forwarded-For %s, %s', (trust, remote, forwarded, address) => {
    expect(addressOf(trust, remote, forwarded)).toBe(address);
  });

  test('counts by the /64 where it is IPv6', () => {
    const counted = (text: string): string | undefined => {
      const address = parseAddress(text);
      return address && networkOf(address);
    };
    expect(counted('2001:db8:1:2::1')).toBe(counted('2001:db8:1:2:ffff:ffff:ffff:ffff'));
    expect(counted('2001:db8:1:2::1')).not.toBe(counted('2001:db8:1:3::1'));
    expect(counted('::ffff:192.0.2.1')).toBe(counted('192.0.2.1'));
    expect(counted('192.0.2.1')).not.toBe(counted('192.0.2.2'));
  });
});

async function post(service: TestService, path: string, forwarded: string): Promise<Response> {
  return fetch(`${service.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': forwarded },
    body: JSON.stringify(notification()),
  });
}
