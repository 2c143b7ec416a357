import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { getDataSourceToken } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { expect } from 'vitest';
import { type ApiKey, makeApiKey } from '../../src/config/api-key.js';
import { createApp } from '../../src/app.js';
import { type Config, parseConfig } from '../../src/config/config.js';
import { QUERY } from '../../src/database/data-source.js';
import { Cursors } from '../../src/http/rest/cursor.js';
import { IngestLifecycle } from '../../src/ingest/ingest-lifecycle.js';
import { PROVIDER_EXAMPLE } from '../../src/ingest/notification/provider-example.js';
import { shutDown } from '../../src/shutdown.js';
import { createDatabase, type TestDatabase } from './database.js';

export const TOKEN = 'test-webhook-token';
export const READ_KEY = 'secret-of-the-reader';
export const ALL_KEY = 'secret-of-the-operator';

const KEYS: ApiKey[] = [
  makeApiKey('reader', ['read'], READ_KEY),
  makeApiKey('operator', ['read', 'reveal', 'operate'], ALL_KEY),
];

/** Tests ask more often than anybody should. */
export const UNLIMITED = { RATE_LIMIT_PER_KEY: '0', RATE_LIMIT_PER_ADDRESS: '0', RATE_LIMIT_FAILURES: '0' };

export type Json = Record<string, any>; // oxlint-disable-line typescript/no-explicit-any -- what a client sees has no types

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Json;
}

/** The service in this process, on a port and, unless one is given, a database of its own. */
export interface TestService {
  readonly url: string;
  readonly app: NestExpressApplication;
  readonly database: TestDatabase;
  /** Posts to the webhook: a text or bytes as they are, anything else as JSON. */
  post(body: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Posts what is to be acknowledged. */
  complete(body: Json): Promise<void>;
  /** Asks with a key that may see everything. */
  get(path: string, key?: string): Promise<Answer>;
  stop(): Promise<void>;
}

export async function startService({
  database,
  config = {},
}: { database?: TestDatabase; config?: Partial<Config> } = {}): Promise<TestService> {
  const own = database ?? (await createDatabase());
  const required = { DATABASE_URL: own.url, WEBHOOK_TOKENS: TOKEN, API_KEYS: 'nobody:read:nothing' };
  const settings = parseConfig({ ...required, ...UNLIMITED });
  const dataDir = await mkdtemp(join(tmpdir(), 'airudder-service-'));
  const app = await createApp({ ...settings, dataDir, apiKeys: KEYS, ...config }, own.url, false);
  for (const name of [undefined, QUERY]) await app.get<DataSource>(getDataSourceToken(name)).initialize();
  await app.get(Cursors).loadKey();
  await app.get(IngestLifecycle).open();
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as { port: number };
  const url = `http://127.0.0.1:${port}`;
  const post: TestService['post'] = async (body, headers = {}) => send(`${url}${webhookPath()}`, postOf(body, headers));
  return {
    url,
    app,
    database: own,
    post,
    complete: async (body) => expect((await post(body)).status).toBe(200),
    get: async (path, key = ALL_KEY) => send(`${url}${path}`, { headers: { authorization: `Bearer ${key}` } }),
    stop: async () => {
      await shutDown(app);
      await rm(dataDir, { recursive: true });
      if (!database) await own.drop();
    },
  };
}

export function webhookPath(token = TOKEN, kind = 'workflow-list-completion'): string {
  return `/webhooks/airudder/${token}/${kind}`;
}

export async function send(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init);
  const text = await response.text();
  const isJson = /\bjson/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, text, body: isJson ? (JSON.parse(text) as Json) : {} };
}

function postOf(body: unknown, headers: Record<string, string>): RequestInit {
  const isRaw = typeof body === 'string' || body instanceof Uint8Array;
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: isRaw ? body : JSON.stringify(body),
  };
}

type Example = Omit<typeof PROVIDER_EXAMPLE, 'rows'> & { rows: Json[] };

/** The provider's own example, with changes. */
export function notification(changes: Json = {}): Example & Json {
  return { ...structuredClone(PROVIDER_EXAMPLE), ...changes };
}

/** The same, of a case that nobody else has. */
export function newCase(changes: Json = {}): Example & Json {
  return notification({ case_id: randomUUID(), ...changes });
}
