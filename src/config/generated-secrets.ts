import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { Config } from './config.js';
import { makeApiKey, SCOPES } from './api-key.js';

export const GENERATED_WEBHOOK_TOKEN = 'webhook-token';
export const GENERATED_API_KEY = 'api-key';

/** A configuration with token and key, and the generated secrets to print for the operator. */
export interface ConfigWithSecrets {
  readonly config: Config;
  readonly generated: { readonly webhookToken?: string; readonly apiKey?: string };
}

/** Generates a missing webhook token and API key, if `GENERATE_SECRETS` allows it. */
export async function addGeneratedSecrets(config: Config): Promise<ConfigWithSecrets> {
  if (!config.generateSecrets) return { config, generated: {} };
  const generated: { webhookToken?: string; apiKey?: string } = {};
  let { webhookTokens, apiKeys } = config;
  if (webhookTokens.length === 0) {
    generated.webhookToken = await readOrMakeSecret(config.dataDir, GENERATED_WEBHOOK_TOKEN);
    webhookTokens = [generated.webhookToken];
  }
  if (apiKeys.length === 0) {
    generated.apiKey = await readOrMakeSecret(config.dataDir, GENERATED_API_KEY);
    apiKeys = [makeApiKey('generated', SCOPES, generated.apiKey)];
  }
  return { config: { ...config, webhookTokens, apiKeys }, generated };
}

/**
 * Returns the secret with this name in `<dataDir>/secrets`. The first call generates it: 192 random bits, URL-safe, in
 * a file that only its owner may read. Concurrent processes get the same secret, because only one can link the complete
 * file.
 */
export async function readOrMakeSecret(dataDir: string, name: string): Promise<string> {
  const existing = await readSecret(dataDir, name);
  if (existing !== undefined) return existing;
  await mkdir(path.dirname(fileOf(dataDir, name)), { recursive: true, mode: 0o700 });
  await makeSecret(fileOf(dataDir, name));
  return (await readSecret(dataDir, name)) as string;
}

/** Returns the secret with this name; undefined if it does not exist yet. */
export async function readSecret(dataDir: string, name: string): Promise<string | undefined> {
  const file = fileOf(dataDir, name);
  try {
    const secret = (await readFile(file, 'utf8')).trim();
    if (!/^[\w-]{16,}$/.test(secret)) throw new Error(`${file} holds no secret: remove it to have a new one made`);
    return secret;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function makeSecret(file: string): Promise<void> {
  const secret = randomBytes(24).toString('base64url');
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(`${secret}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await link(draft, file);
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  } finally {
    await unlink(draft);
  }
}

function fileOf(dataDir: string, name: string): string {
  return path.join(dataDir, 'secrets', name);
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
