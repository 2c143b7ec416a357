import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { ConsoleLogger, Logger } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { getDataSourceToken } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { addGeneratedSecrets, readOrMakeSecret } from './config/generated-secrets.js';
import { createApp } from './app.js';
import { type Config, ConfigError, parseConfig, readEnvironment } from './config/config.js';
import { describeError, isDatabaseUnavailable } from './database/errors.js';
import { QUERY } from './database/data-source.js';
import { DatabaseStartup } from './database/database-startup.js';
import { Cursors } from './http/rest/cursor.js';
import { IngestLifecycle } from './ingest/ingest-lifecycle.js';
import { renderBanner } from './local/banner.js';
import { DataDirLock } from './local/data-dir-lock.js';
import { startEmbeddedPostgres } from './local/embedded-postgres.js';
import { RetentionJob } from './operator/retention/retention.job.js';
import { shutDown } from './shutdown.js';

export interface Service {
  /** Answers the requests in progress, closes all connections, and stops the embedded PostgreSQL. */
  stop(): Promise<void>;
  /** Rejects with an error that the service cannot recover from, such as a failed migration after an outage. */
  readonly failed: Promise<unknown>;
}

/**
 * Starts the parts of the service in the order of their dependencies: settings, secrets, in local mode the database,
 * migrations, HTTP. While an external PostgreSQL is unavailable, migrations wait, and notifications are accepted.
 *
 * @param signal shuts the service down, during its start or later
 * @throws Error whose message is one line for the operator, after the parts that had started are stopped
 */
export async function startService(signal: AbortSignal): Promise<Service> {
  const started: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of started.splice(0).toReversed()) await end();
  };
  try {
    return { stop, ...(await start(started, signal)) };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(started: (() => Promise<unknown>)[], signal: AbortSignal): Promise<Pick<Service, 'failed'>> {
  const settings = parseConfig(readEnvironment());
  const { config, generated } = await inDataDir(settings, async () => addGeneratedSecrets(settings));
  const local =
    config.databaseUrl === undefined
      ? await inDataDir(config, async () => startLocal(config.dataDir, started))
      : undefined;
  const databaseUrl = config.databaseUrl ?? local?.databaseUrl ?? '';

  const logger = new ConsoleLogger({ json: true, flattenParams: true, logLevels: ['fatal', 'error', 'warn'] });
  const app = await createApp(config, databaseUrl, logger);
  started.push(async () => shutDown(app));
  const dataSources = [app.get(DataSource), app.get<DataSource>(getDataSourceToken(QUERY))];
  const cursors = app.get(Cursors);
  const database = new DatabaseStartup(databaseUrl, dataSources, async () => cursors.loadKey(), signal);
  await Promise.all([app.get(IngestLifecycle).open(), database.waitForFirstAttempt().catch(explain)]);
  // `failed` below reports the rejection.
  database.done.then(() => app.get(RetentionJob).start()).catch(() => undefined);
  const baseUrl = await listen(app, config);
  local?.lock.announce(baseUrl);

  logger.setLogLevels(['fatal', 'error', 'warn', 'log']); // not earlier, because Nest logs each of its routes
  new Logger('Start').log('ready', { url: baseUrl, node: process.version });
  if (config.generateSecrets) process.stdout.write(renderBanner(baseUrl, config, generated));
  return { failed: database.done.catch(explain) };
}

async function startLocal(
  dataDir: string,
  started: (() => Promise<unknown>)[],
): Promise<{ databaseUrl: string; lock: DataDirLock }> {
  const lock = await DataDirLock.acquire(dataDir);
  started.push(async () => lock.release());
  const password = await readOrMakeSecret(dataDir, 'postgres-password');
  const postgres = await startEmbeddedPostgres(path.join(dataDir, 'postgres'), password);
  started.push(async () => postgres.stop());
  return { databaseUrl: postgres.url(), lock };
}

/** Turns an error in the data folder into a `ConfigError` that names DATA_DIR. */
async function inDataDir<T>({ dataDir }: Config, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const { code, syscall, message } = error as NodeJS.ErrnoException;
    const isFileSystem = code !== undefined && syscall !== undefined;
    throw new ConfigError('DATA_DIR', isFileSystem ? `${dataDir} cannot be used (${code})` : message);
  }
}

function explain(error: unknown): never {
  const { code, name } = describeError(error);
  if (isDatabaseUnavailable(error)) throw new ConfigError('DATABASE_URL', `is rejected by PostgreSQL (${code})`);
  // The message is safe here: migrations contain no customer data.
  const { message } = error as Error;
  throw new ConfigError('DATABASE_URL', `names a database whose migration failed: ${message} (${code ?? name})`);
}

async function listen(app: NestExpressApplication, { port, host }: Config): Promise<string> {
  const server: Server = app.getHttpServer();
  try {
    // Not `app.listen`, because Nest would log the error that is reported below.
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  } catch (error) {
    const { code, name } = describeError(error);
    throw new ConfigError('PORT', `${port} cannot be listened on at HOST ${host} (${code ?? name})`);
  }
  const address = server.address() as AddressInfo;
  return `http://${toUrlHost(host)}:${address.port}`;
}

/** Returns a host that a browser on this machine can open. */
function toUrlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
