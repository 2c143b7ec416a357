import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dataSourceOptions, INGEST_POOL } from '../src/database/data-source.js';
import { isDatabaseUnavailable } from '../src/database/errors.js';
import { migrate } from '../src/database/migrate.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/local/embedded-postgres.js';
import { giveToServerUser } from '../src/local/server-user.js';
import { issueCertificates } from './support/certificates.js';
import { POLL } from './support/chaos.js';
import { CLUSTER_PASSWORD, copyCluster } from './support/cluster.js';
import { type ServiceProcess, spawnService } from './support/process.js';
import { notification, send, TOKEN, webhookPath } from './support/service.js';

let directory: string;
let postgres: EmbeddedPostgres;
const services: ServiceProcess[] = [];
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'airudder-tls-'));
  const { authority, server } = await issueCertificates('localhost');
  await writeFile(file('authority.pem'), authority);
  await writeFile(file('other.pem'), (await issueCertificates('elsewhere')).authority);
  await writeFile(file('server.pem'), server.certificate);
  await writeFile(file('server.key'), server.key, { mode: 0o600 });
  await giveToServerUser(file('server.key'), file('server.pem'));
  const tls = { ssl: 'on', ssl_cert_file: file('server.pem'), ssl_key_file: file('server.key') };
  const settings = { ...tls, fsync: 'off', log_connections: 'on' };
  await copyCluster(path.join(directory, 'postgres'));
  postgres = await startEmbeddedPostgres(path.join(directory, 'postgres'), CLUSTER_PASSWORD, settings);
});
afterAll(async () => {
  for (const service of services) service.kill('SIGKILL'); // what a failed test has left
  await Promise.all(services.map(async (service) => service.exitCode()));
  await postgres.stop();
  await rm(directory, { recursive: true });
});

describe('a PostgreSQL that is asked for with sslmode=verify-full', () => {
  test('is reached by TLS, with a certificate of the right authority for the right host, by everything that connects', async () => {
    const url = urlOf('localhost', 'verify-full', 'authority.pem');
    await migrate(url);
    expect(await isEncrypted(url)).toBe(true);
    const service = start({ DATABASE_URL: url });
    const baseUrl = await service.ready();
    const headers = { 'content-type': 'application/json', authorization: 'Bearer key' };
    const body = JSON.stringify(notification({ case_id: 'by-tls' }));
    expect((await send(`${baseUrl}${webhookPath()}`, { method: 'POST', headers, body })).status).toBe(200);
    expect((await send(`${baseUrl}/v1/cases`, { headers })).body['data']).toHaveLength(1);
    expect(await plainConnections(url)).toBe(0);
    service.kill('SIGTERM');
    expect(await service.exitCode()).toBe(0);
  });

  test.each([
    ['of another authority', 'localhost', 'other.pem', /UNABLE_TO_VERIFY|SELF_SIGNED|UNABLE_TO_GET/],
    ['for another host', '127.0.0.1', 'authority.pem', /ERR_TLS_CERT_ALTNAME_INVALID/],
  ])('is not reached with a certificate %s', async (_, host, authority, code) => {
    for (const mode of ['verify-full', 'verify-ca', 'require', 'prefer']) {
      const error = await failureOf(urlOf(host, mode, authority));
      expect((error as { code?: string }).code, mode).toMatch(code);
      expect(isDatabaseUnavailable(error)).toBe(true);
    }
  });

  test('is not spoken to in plain text, not even to say who asks', async () => {
    const heard: Buffer[] = [];
    const plain = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => heard.push(chunk) && socket.write('N')); // no TLS here
    });
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const { port } = plain.address() as net.AddressInfo;
    const error = await failureOf(urlOf('localhost', 'verify-full', 'authority.pem', port));
    expect((error as Error).message).toBe('The server does not support SSL connections');
    expect(Buffer.concat(heard)).toHaveLength(8); // the question for TLS, and nothing else
    plain.close();
  });
});

test('only sslmode=no-verify takes any certificate, and none at all is plain text', async () => {
  expect(await isEncrypted(urlOf('127.0.0.1', 'no-verify', 'other.pem'))).toBe(true);
  expect(await isEncrypted(postgres.url())).toBe(false);
});

test('a service that does not trust its PostgreSQL says why, accepts meanwhile, and sends it nothing', async () => {
  const url = urlOf('localhost', 'verify-full', 'other.pem');
  const dataDir = path.join(directory, 'mistrust');
  const loggedInBefore = await countLogins();
  const service = start({ DATABASE_URL: url, DATA_DIR: dataDir });
  const baseUrl = await service.ready();
  expect(loggedInBefore).toBeGreaterThan(0);
  expect(service.output()).toMatch(/PostgreSQL unavailable.*UNABLE_TO_VERIFY|PostgreSQL unavailable.*SELF_SIGNED/);
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify(notification());
  expect((await send(`${baseUrl}${webhookPath()}`, { method: 'POST', headers, body })).status).toBe(200);
  expect((await send(`${baseUrl}/health/ready`)).body).toMatchObject({ postgres: 'down', spooled: 1 });
  service.kill('SIGTERM');
  expect(await service.exitCode()).toBe(0);
  expect(await countLogins()).toBe(loggedInBefore);
});

test('a read replica with a certificate of another authority is passed over', async () => {
  const service = start({
    DATABASE_URL: urlOf('localhost', 'verify-full', 'authority.pem'),
    DATABASE_READ_URL: urlOf('localhost', 'verify-full', 'other.pem'),
    DATA_DIR: path.join(directory, 'replica'),
  });
  await service.ready();
  await expect
    .poll(() => service.output(), POLL)
    .toMatch(/read replica unavailable, using the primary.*(UNABLE_TO_VERIFY|SELF_SIGNED)/);
  service.kill('SIGTERM');
  expect(await service.exitCode()).toBe(0);
});

function start(settings: Record<string, string>): ServiceProcess {
  const service = spawnService({ WEBHOOK_TOKENS: TOKEN, API_KEYS: 'team:read:key', ...settings }, directory);
  services.push(service);
  return service;
}

function file(name: string): string {
  return path.join(directory, name);
}

function urlOf(host: string, mode: string, authority: string, port?: number): string {
  const url = new URL(postgres.url());
  url.hostname = host;
  if (port !== undefined) url.port = String(port);
  url.search = new URLSearchParams({ sslmode: mode, sslrootcert: file(authority) }).toString();
  return url.href;
}

async function connected<T>(url: string, work: (dataSource: DataSource) => Promise<T>): Promise<T> {
  const dataSource = await new DataSource(dataSourceOptions(url, INGEST_POOL)).initialize();
  try {
    return await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}

async function isEncrypted(url: string): Promise<boolean | undefined> {
  const ask = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
  return connected(url, async (dataSource) => (await dataSource.query<{ ssl: boolean }[]>(ask))[0]?.ssl);
}

async function plainConnections(url: string): Promise<number> {
  const ask = `SELECT FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE NOT ssl AND client_port IS NOT NULL`;
  return connected(url, async (dataSource) => (await dataSource.query<object[]>(ask)).length);
}

async function countLogins(): Promise<number> {
  const log = await readFile(path.join(directory, 'postgres', 'server.log'), 'utf8');
  return log.split('connection authorized').length - 1;
}

async function failureOf(url: string): Promise<unknown> {
  return connected(url, async () => undefined).catch((error: unknown) => error);
}
