import path from 'node:path';
import { ConsoleLogger, Logger } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Migration } from 'typeorm';
import { addGeneratedSecrets, readOrMakeSecret } from './access/generated-secrets.js';
import { createApp } from './app.js';
import { type Config, ConfigError, parseConfig, readEnvironment } from './config.js';
import { describeError, isDatabaseUnavailable } from './database/errors.js';
import { migrate } from './database/migrate.js';
import { renderBanner } from './local/banner.js';
import { DataDirLock } from './local/data-dir-lock.js';
import { startEmbeddedPostgres } from './local/embedded-postgres.js';

const STOP_TIMEOUT_MS = 10_000;

/** What has been started, in order; stopping takes it down from the end. */
const started: (() => Promise<unknown>)[] = [];

async function start(): Promise<void> {
  const { config, generated } = await addGeneratedSecrets(parseConfig(readEnvironment()));
  const local = config.databaseUrl === undefined ? await startLocal(config.dataDir) : undefined;
  const databaseUrl = config.databaseUrl ?? local?.databaseUrl ?? '';
  const migrations = await migrateOrExplain(databaseUrl);

  const logger = new ConsoleLogger({ json: true, flattenParams: true, logLevels: ['fatal', 'error', 'warn'] });
  const app = await createApp(config, databaseUrl, logger);
  logger.setLogLevels(['fatal', 'error', 'warn', 'log']); // only now: Nest logs each of its routes
  started.push(async () => app.close());
  await listen(app, config);

  const { port } = app.getHttpServer().address() as { port: number };
  const baseUrl = `http://${urlHost(config.host)}:${port}`;
  local?.lock.announce(baseUrl);
  new Logger('Start').log('ready', {
    url: baseUrl,
    migrations: migrations.map(({ name }) => name),
    node: process.version,
  });
  if (config.generateSecrets) process.stdout.write(renderBanner(baseUrl, config, generated));
}

async function listen(app: NestExpressApplication, { port, host }: Config): Promise<void> {
  try {
    await app.listen(port, host);
  } catch (error) {
    const { code } = describeError(error);
    throw new ConfigError('PORT', `${port} cannot be listened on at HOST ${host} (${String(code)})`);
  }
}

async function startLocal(dataDir: string): Promise<{ databaseUrl: string; lock: DataDirLock }> {
  const lock = await DataDirLock.acquire(dataDir);
  started.push(async () => lock.release());
  const password = await readOrMakeSecret(dataDir, 'postgres-password');
  const postgres = await startEmbeddedPostgres(path.join(dataDir, 'postgres'), password);
  started.push(async () => postgres.stop());
  return { databaseUrl: postgres.url(), lock };
}

async function migrateOrExplain(databaseUrl: string): Promise<Migration[]> {
  try {
    return await migrate(databaseUrl);
  } catch (error) {
    const { code, name } = describeError(error);
    const words = isDatabaseUnavailable(error) ? 'cannot be reached or does not let us in' : 'refused a migration';
    throw new ConfigError('DATABASE_URL', `names a PostgreSQL that ${words} (${String(code ?? name)})`);
  }
}

/** Requests under way are answered, then connections are closed, then the embedded PostgreSQL ends. */
async function stop(): Promise<void> {
  setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref();
  for (const end of started.splice(0).toReversed()) await end();
  process.exit(0);
}

/** From a terminal npm passes Ctrl-C on a second time: only the first signal counts. */
let isStopping = false;
function onSignal(): void {
  if (isStopping) return;
  isStopping = true;
  stop().catch((error: unknown) => {
    fail(error);
    process.exit(1);
  });
}

/** Says what is wrong without a stack: what stops a start is a setting or a neighbour. */
function fail(error: unknown): void {
  const words = error instanceof Error && error.message !== '' ? error.message : JSON.stringify(describeError(error));
  process.stderr.write(`airudder-notifications: ${words}\n`);
}

process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
start().catch(async (error: unknown) => {
  fail(error);
  for (const end of started.splice(0).toReversed()) await end().catch(() => undefined);
  process.exit(1);
});

function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}
