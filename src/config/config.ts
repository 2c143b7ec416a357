import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseRanges, type IpRange } from './ip-ranges.js';
import { type ApiKey, parseApiKeys } from './api-key.js';
import { readSecretFile } from './secret-file.js';
import { parseWebhookTokens } from './webhook-token.js';
import { checkDatabaseUrl } from './database-url.js';
import type { SETTINGS } from './settings.js';

/** Under this token the settings are injected. */
export const CONFIG = Symbol('CONFIG');

/** What the whole service is told from outside. */
export interface Config {
  /** Absent in local mode: the service then brings its own PostgreSQL. */
  readonly databaseUrl: string | undefined;
  /** Of streaming standbys, which are read in its stead. */
  readonly databaseReadUrls: readonly string[];
  /** Absolute. */
  readonly dataDir: string;
  readonly host: string;
  readonly port: number;
  /** Empty only where `generateSecrets` will fill it. */
  readonly webhookTokens: readonly string[];
  readonly apiKeys: readonly ApiKey[];
  /** Where they came from, and may change; undefined if they stand in the environment. */
  readonly webhookTokensFile: string | undefined;
  readonly apiKeysFile: string | undefined;
  readonly generateSecrets: boolean;
  readonly bodyLimitBytes: number;
  readonly spoolMaxBytes: number;
  readonly quarantineMaxRows: number;
  /** Of the bodies. */
  readonly quarantineMaxBytes: number;
  /** Days after which rows are removed; undefined keeps them. */
  readonly retention: Retention;
  /** None: all. */
  readonly webhookAllowedAddresses: readonly IpRange[];
  /** Which proxies say truly for whom they ask: those at these addresses, or so many one behind the other. */
  readonly trustProxy: readonly IpRange[] | number;
  /** Each in requests a minute; 0: no limit. */
  readonly rateLimitPerKey: number;
  readonly rateLimitPerAddress: number;
  readonly rateLimitFailures: number;
}

/** In days, each undefined where rows are kept. */
export interface Retention {
  readonly bodies: number | undefined;
  readonly notifications: number | undefined;
  readonly quarantine: number | undefined;
  readonly cases: number | undefined;
  /** Of the record of what was shown whole. */
  readonly audit: number | undefined;
}

const MAX_DAYS = 36_500;

type Name = (typeof SETTINGS)[number][0];
type Environment = Readonly<Record<string, string | undefined>>;

/** A setting that is missing or malformed. The message names the variable and repeats no secret. */
export class ConfigError extends Error {
  constructor(variable: Name, problem: string) {
    super(`${variable} ${problem}`);
    this.name = 'ConfigError';
  }
}

/** The process's environment, with what an `.env` file in the working directory adds to it. */
export function readEnvironment(): Environment {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return process.env;
}

/** @throws ConfigError on the first setting that is missing or malformed */
export function parseConfig(environment: Environment): Config {
  // An empty variable means none: compose files pass what `.env` leaves out as an empty text.
  const get = (name: Name): string | undefined => environment[name]?.trim() || undefined;
  const getSecret = (name: Secret): SettingValue => readSecret(name, get(name), get(`${name}_FILE`));

  const databaseUrl = parseDatabaseUrl(getSecret('DATABASE_URL'));
  const generateSecrets = parseBoolean('GENERATE_SECRETS', get('GENERATE_SECRETS'), databaseUrl === undefined);
  return {
    databaseUrl,
    databaseReadUrls: parseReadUrls(getSecret('DATABASE_READ_URL'), databaseUrl),
    dataDir: path.resolve(get('DATA_DIR') ?? '.data'),
    host: get('HOST') ?? '127.0.0.1',
    port: parseInteger('PORT', get('PORT') ?? '3000', 0, 65_535),
    webhookTokens: parseSecrets(getSecret('WEBHOOK_TOKENS'), parseWebhookTokens, generateSecrets),
    webhookTokensFile: get('WEBHOOK_TOKENS_FILE'),
    apiKeys: parseSecrets(getSecret('API_KEYS'), parseApiKeys, generateSecrets),
    apiKeysFile: get('API_KEYS_FILE'),
    generateSecrets,
    bodyLimitBytes: parseInteger('BODY_LIMIT_BYTES', get('BODY_LIMIT_BYTES') ?? '1048576', 1, 64 * 1024 * 1024),
    retention: parseRetention(get),
    spoolMaxBytes: parseInteger('SPOOL_MAX_BYTES', get('SPOOL_MAX_BYTES') ?? '1073741824', 0, 2 ** 40),
    quarantineMaxRows: parseInteger('QUARANTINE_MAX_ROWS', get('QUARANTINE_MAX_ROWS') ?? '100000', 0, 1_000_000_000),
    quarantineMaxBytes: parseInteger('QUARANTINE_MAX_BYTES', get('QUARANTINE_MAX_BYTES') ?? '1073741824', 0, 2 ** 40),
    webhookAllowedAddresses: parseAddresses('WEBHOOK_ALLOWED_ADDRESSES', get('WEBHOOK_ALLOWED_ADDRESSES')),
    trustProxy: parseTrust(get('TRUST_PROXY')),
    rateLimitPerKey: parseInteger('RATE_LIMIT_PER_KEY', get('RATE_LIMIT_PER_KEY') ?? '30000', 0, 1e9),
    rateLimitPerAddress: parseInteger('RATE_LIMIT_PER_ADDRESS', get('RATE_LIMIT_PER_ADDRESS') ?? '60000', 0, 1e9),
    rateLimitFailures: parseInteger('RATE_LIMIT_FAILURES', get('RATE_LIMIT_FAILURES') ?? '60', 0, 1e9),
  };
}

/** Settings that hold a secret, and may therefore be given in a file. */
type Secret = 'DATABASE_URL' | 'DATABASE_READ_URL' | 'WEBHOOK_TOKENS' | 'API_KEYS';

/** What a setting says, and the name under which it was given. */
interface SettingValue {
  readonly name: Name;
  readonly text: string | undefined;
}

function readSecret(name: Secret, text: string | undefined, file: string | undefined): SettingValue {
  if (file === undefined) return { name, text };
  const fileName = `${name}_FILE` as const;
  if (text !== undefined) throw new ConfigError(fileName, `is set, and ${name} too: set one of them`);
  return { name: fileName, text: withSettingName(fileName, () => readSecretFile(file)) };
}

/** What goes wrong is told with the setting that led there. */
function withSettingName<T>(name: Name, work: () => T, before = ''): T {
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

/** A limit that another one makes void is a mistake. */
function parseRetention(get: (name: Name) => string | undefined): Retention {
  const days = (name: Name): number | undefined => {
    const text = get(name);
    return text === undefined ? undefined : parseInteger(name, text, 1, MAX_DAYS);
  };
  const atMost = (name: Name, longer: Name): void => {
    if ((days(name) ?? 0) > (days(longer) ?? MAX_DAYS)) throw new ConfigError(name, `must not be more than ${longer}`);
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

function missing(name: Name, mayBeMissing: boolean): never[] {
  if (mayBeMissing) return [];
  throw new ConfigError(name, 'is not set (GENERATE_SECRETS=true would make it)');
}

function parseAddresses(name: Name, text: string | undefined): IpRange[] {
  return text === undefined ? [] : withSettingName(name, () => parseRanges(text));
}

/** A number is told from addresses by having neither dot nor colon. */
function parseTrust(text: string | undefined): IpRange[] | number {
  const isNumber = text !== undefined && /^\w+$/.test(text);
  return isNumber ? parseInteger('TRUST_PROXY', text, 1, 10) : parseAddresses('TRUST_PROXY', text);
}

function parseBoolean(name: Name, text: string | undefined, fallback: boolean): boolean {
  if (text === undefined) return fallback;
  if (text !== 'true' && text !== 'false') throw new ConfigError(name, 'must be true or false');
  return text === 'true';
}

function parseInteger(name: Name, text: string, min: number, max: number): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) throw new ConfigError(name, `must be a whole number from ${min} to ${max}`);
  return value;
}
