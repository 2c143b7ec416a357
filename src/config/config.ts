import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseRanges, type IpRange } from './ip-ranges.js';
import { type ApiKey, parseApiKeys } from './api-key.js';
import { readSecretFile } from './secret-file.js';
import { parseWebhookTokens } from './webhook-token.js';
import { checkDatabaseUrl } from './database-url.js';
import { SETTING_BY_NAME, type SettingName } from './settings.js';

/** Injection token of the configuration. */
export const CONFIG = Symbol('CONFIG');

/** The parsed settings of the service. */
export interface Config {
  /** Undefined in local mode: the service then starts an embedded PostgreSQL. */
  readonly databaseUrl: string | undefined;
  /** Streaming standbys that serve the reads of the primary. */
  readonly databaseReadUrls: readonly string[];
  /** Absolute path. */
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  /** Empty only if `generateSecrets` is set; `addGeneratedSecrets` then fills it. */
  readonly webhookTokens: readonly string[];
  readonly apiKeys: readonly ApiKey[];
  /** Files that the secrets were read from and are reloaded from; undefined if the environment holds them. */
  readonly webhookTokensFile: string | undefined;
  readonly apiKeysFile: string | undefined;
  readonly generateSecrets: boolean;
  readonly bodyLimitBytes: number;
  readonly spoolMaxBytes: number;
  readonly quarantineMaxRows: number;
  /** Total size of the quarantined bodies. */
  readonly quarantineMaxBytes: number;
  readonly retention: Retention;
  /** Empty: every address may call the webhook. */
  readonly webhookAllowedAddresses: readonly IpRange[];
  /** Proxies whose `X-Forwarded-For` is trusted: their addresses, or the number of proxies in a row. */
  readonly trustProxy: readonly IpRange[] | number;
  /** Requests per minute; 0: no limit. */
  readonly rateLimitPerKey: number;
  readonly rateLimitPerAddress: number;
  readonly rateLimitFailures: number;
}

/** Days after which rows are removed; undefined keeps them. */
export interface Retention {
  readonly bodies: number | undefined;
  readonly notifications: number | undefined;
  readonly quarantine: number | undefined;
  readonly cases: number | undefined;
  /** Applies to the disclosure log. */
  readonly audit: number | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** A setting that is missing or malformed. The message names the variable and repeats no secret. */
export class ConfigError extends Error {
  constructor(variable: SettingName, problem: string) {
    super(`${variable} ${problem}`);
    this.name = 'ConfigError';
  }
}

/** Returns the environment of the process, extended by the `.env` file of the working directory. */
export function readEnvironment(): Environment {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return process.env;
}

/** @throws ConfigError on the first setting that is missing or malformed */
export function parseConfig(environment: Environment): Config {
  // An empty variable counts as unset: compose files pass variables that `.env` leaves out as empty texts.
  const get: Getter = (name) => environment[name]?.trim() || SETTING_BY_NAME[name].default;
  const getSecret = (name: SecretName): SettingValue => readSecret(name, get(name), get(`${name}_FILE`));
  const getInteger = (name: SettingName): number => parseInteger(name, get(name));

  const databaseUrl = parseDatabaseUrl(getSecret('DATABASE_URL'));
  const generateSecrets = parseBoolean('GENERATE_SECRETS', get('GENERATE_SECRETS'), databaseUrl === undefined);
  return {
    databaseUrl,
    databaseReadUrls: parseReadUrls(getSecret('DATABASE_READ_URL'), databaseUrl),
    dataDir: path.resolve(get('DATA_DIR') ?? ''),
    host: get('HOST') ?? '',
    port: getInteger('PORT'),
    webhookTokens: parseSecrets(getSecret('WEBHOOK_TOKENS'), parseWebhookTokens, generateSecrets),
    webhookTokensFile: get('WEBHOOK_TOKENS_FILE'),
    apiKeys: parseSecrets(getSecret('API_KEYS'), parseApiKeys, generateSecrets),
    apiKeysFile: get('API_KEYS_FILE'),
    generateSecrets,
    bodyLimitBytes: getInteger('BODY_LIMIT_BYTES'),
    retention: parseRetention(get),
    spoolMaxBytes: getInteger('SPOOL_MAX_BYTES'),
    quarantineMaxRows: getInteger('QUARANTINE_MAX_ROWS'),
    quarantineMaxBytes: getInteger('QUARANTINE_MAX_BYTES'),
    webhookAllowedAddresses: parseAddresses('WEBHOOK_ALLOWED_ADDRESSES', get('WEBHOOK_ALLOWED_ADDRESSES')),
    trustProxy: parseTrust(get('TRUST_PROXY')),
    rateLimitPerKey: getInteger('RATE_LIMIT_PER_KEY'),
    rateLimitPerAddress: getInteger('RATE_LIMIT_PER_ADDRESS'),
    rateLimitFailures: getInteger('RATE_LIMIT_FAILURES'),
  };
}

/** Returns the trimmed value of a variable, or else its default. */
type Getter = (name: SettingName) => string | undefined;

/** Settings that hold a secret, and may therefore be given in a file. */
type SecretName = 'DATABASE_URL' | 'DATABASE_READ_URL' | 'WEBHOOK_TOKENS' | 'API_KEYS';

/** A value, and the name of the variable that gave it. */
interface SettingValue {
  readonly name: SettingName;
  readonly text: string | undefined;
}

function readSecret(name: SecretName, text: string | undefined, file: string | undefined): SettingValue {
  if (file === undefined) return { name, text };
  const fileName = `${name}_FILE` as const;
  if (text !== undefined) throw new ConfigError(fileName, `is set, and ${name} too: set one of them`);
  return { name: fileName, text: withSettingName(fileName, () => readSecretFile(file)) };
}

/** Turns an error of `work` into a `ConfigError` that names the setting. */
function withSettingName<T>(name: SettingName, work: () => T, before = ''): T {
  try {
    return work();
  } catch (error) {
    throw new ConfigError(name, before + (error as Error).message);
  }
}

function parseDatabaseUrl({ name, text }: SettingValue): string | undefined {
  if (text !== undefined) withSettingName(name, () => checkDatabaseUrl(text));
  return text;
}

function parseReadUrls({ name, text }: SettingValue, databaseUrl: string | undefined): string[] {
  if (text === undefined) return [];
  if (databaseUrl === undefined) throw new ConfigError(name, 'is set, but DATABASE_URL is not');
  const urls = text.split(',').map((url) => url.trim());
  urls.forEach((url, index) => {
    const entry = `entry ${index + 1} `;
    withSettingName(name, () => checkDatabaseUrl(url), entry);
    if (url === databaseUrl) throw new ConfigError(name, `${entry}is DATABASE_URL, and no standby of it`);
  });
  return urls;
}

function parseSecrets<T>({ name, text }: SettingValue, parse: (text: string) => T[], mayBeMissing: boolean): T[] {
  if (text === undefined) return missing(name, mayBeMissing);
  return withSettingName(name, () => parse(text), 'is malformed: ');
}

/** Rejects a retention period that a shorter one of a containing row overrides. */
function parseRetention(get: Getter): Retention {
  const days = (name: SettingName): number | undefined => {
    const text = get(name);
    return text === undefined ? undefined : parseInteger(name, text);
  };
  const atMost = (name: SettingName, longer: SettingName): void => {
    if ((days(name) ?? 0) > (days(longer) ?? Infinity)) throw new ConfigError(name, `must not be more than ${longer}`);
  };
  atMost('RETAIN_NOTIFICATIONS_DAYS', 'RETAIN_CASES_DAYS');
  atMost('RETAIN_BODIES_DAYS', 'RETAIN_NOTIFICATIONS_DAYS');
  atMost('RETAIN_BODIES_DAYS', 'RETAIN_CASES_DAYS');
  return {
    bodies: days('RETAIN_BODIES_DAYS'),
    notifications: days('RETAIN_NOTIFICATIONS_DAYS'),
    quarantine: days('RETAIN_QUARANTINE_DAYS'),
    cases: days('RETAIN_CASES_DAYS'),
    audit: days('RETAIN_AUDIT_DAYS'),
  };
}

function missing(name: SettingName, mayBeMissing: boolean): never[] {
  if (mayBeMissing) return [];
  throw new ConfigError(name, 'is not set (GENERATE_SECRETS=true would make it)');
}

function parseAddresses(name: SettingName, text: string | undefined): IpRange[] {
  return text === undefined ? [] : withSettingName(name, () => parseRanges(text));
}

/** A value without dot and colon is a number of proxies, every other value a list of addresses. */
function parseTrust(text: string | undefined): IpRange[] | number {
  const isNumber = text !== undefined && /^\w+$/.test(text);
  return isNumber ? parseInteger('TRUST_PROXY', text) : parseAddresses('TRUST_PROXY', text);
}

function parseBoolean(name: SettingName, text: string | undefined, fallback: boolean): boolean {
  if (text === undefined) return fallback;
  if (text !== 'true' && text !== 'false') throw new ConfigError(name, 'must be true or false');
  return text === 'true';
}

function parseInteger(name: SettingName, text = ''): number {
  const [min, max] = SETTING_BY_NAME[name].range ?? [0, Number.MAX_SAFE_INTEGER];
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) throw new ConfigError(name, `must be a whole number from ${min} to ${max}`);
  return value;
}
