import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { Config } from './config.js';
import { makeApiKey, SCOPES } from './api-key.js';

export const GENERATED_WEBHOOK_TOKEN = 'webhook-token';
export const GENERATED_API_KEY = 'api-key';

/** A configuration whose doors have keys, and the secrets that were made here and must be shown to the operator. */
export interface ConfigWithSecrets {
  readonly config: Config;
  readonly generated: { readonly webhookToken?: string; readonly apiKey?: string };
}

/** Fills in the webhook token and the API key that the settings leave out, if `GENERATE_SECRETS` allows it. */
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
 * Returns the secret kept under this name in `<dataDir>/secrets`, made at random on the first call: 192 bits, safe in a
 * URL, in a file that only its owner may read. Processes that start together on one folder all get the same secret:
 * the file appears whole, by a link that only the first of them can make.
 */
export async function readOrMakeSecret(dataDir: string, name: string): Promise<string> {
  const kept = await readSecret(dataDir, name);
  if (kept !== undefined) return kept;
  await mkdir(path.dirname(fileOf(dataDir, name)), { recursive: true, mode: 0o700 });
  await makeSecret(fileOf(dataDir, name));
  return (await readSecret(dataDir, name)) as string;
}

/** Returns the secret kept under this name; undefined if none was made yet. */
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
