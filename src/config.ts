import { existsSync } from 'node:fs';
import path from 'node:path';
import { type ApiKey, parseApiKeys } from './access/api-key.js';

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
  readonly generateSecrets: boolean;
  readonly bodyLimitBytes: number;
  readonly spoolMaxBytes: number;
  readonly quarantineMaxRows: number;
  /** Of the bodies. */
  readonly quarantineMaxBytes: number;
  /** Days after which rows are removed; undefined keeps them. */
  readonly retention: Retention;
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

/** Every variable that the service knows: name, default, meaning. README.md and .env.example are held equal to it. */
export const SETTINGS = [
  ['DATABASE_URL', 'none', 'PostgreSQL 14 or later. None: local mode, an embedded PostgreSQL in `DATA_DIR`.'],
  [
    'DATABASE_READ_URL',
    'none',
    'Streaming standbys of it that `/v1` reads from, comma separated (a comma in a password is `%2C`).',
  ],
  ['DATA_DIR', '.data', 'Embedded database, spool and generated secrets.'],
  ['HOST', '127.0.0.1', 'Address to listen on. The container image sets `0.0.0.0`.'],
  ['PORT', '3000', 'Port to listen on; 0 takes a free one.'],
  ['WEBHOOK_TOKENS', 'none', 'Tokens that open the webhook, comma separated, so that one can be rotated.'],
  ['API_KEYS', 'none', '`name:scopes:secret,…`; scopes `read`, `reveal`, `operate` joined by `+`.'],
  [
    'GENERATE_SECRETS',
    '`true` in local mode, else `false`',
    'Make a missing token and key at random, keep them in `DATA_DIR` (mode 0600) and print them at the start.',
  ],
  ['BODY_LIMIT_BYTES', '1048576', 'Largest accepted notification, after decompression.'],
  [
    'SPOOL_MAX_BYTES',
    '1073741824',
    'Room in `DATA_DIR/spool` for notifications that PostgreSQL cannot take yet; a notification needs about 1 kB.',
  ],
  ['QUARANTINE_MAX_ROWS', '100000', 'Refused bodies that are kept at most; beyond them `503`, and nothing is evicted.'],
  ['QUARANTINE_MAX_BYTES', '1073741824', 'Bytes that refused bodies may have together, likewise.'],
  ['RETAIN_BODIES_DAYS', 'none', 'Days after which the bytes of a notification are removed. None keeps them.'],
  ['RETAIN_NOTIFICATIONS_DAYS', 'none', 'Days after which a notification is removed, and its event in the feed.'],
  ['RETAIN_QUARANTINE_DAYS', 'none', 'Days after which a refused body is removed that did not come again.'],
  [
    'RETAIN_CASES_DAYS',
    'none',
    'Days without a notification after which a case is removed, with all that belongs to it.',
  ],
  ['RETAIN_AUDIT_DAYS', 'none', 'Days after which the record of what was shown whole is removed.'],
] as const;

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

  const databaseUrl = parseDatabaseUrl(get('DATABASE_URL'));
  const generateSecrets = parseBoolean('GENERATE_SECRETS', get('GENERATE_SECRETS'), databaseUrl === undefined);
  return {
    databaseUrl,
    databaseReadUrls: parseReadUrls(get('DATABASE_READ_URL'), databaseUrl),
    dataDir: path.resolve(get('DATA_DIR') ?? '.data'),
    host: get('HOST') ?? '127.0.0.1',
    port: parseInteger('PORT', get('PORT') ?? '3000', 0, 65_535),
    webhookTokens: parseWebhookTokens(get('WEBHOOK_TOKENS'), generateSecrets),
    apiKeys: parseKeys(get('API_KEYS'), generateSecrets),
    generateSecrets,
    bodyLimitBytes: parseInteger('BODY_LIMIT_BYTES', get('BODY_LIMIT_BYTES') ?? '1048576', 1, 64 * 1024 * 1024),
    retention: parseRetention(get),
    spoolMaxBytes: parseInteger('SPOOL_MAX_BYTES', get('SPOOL_MAX_BYTES') ?? '1073741824', 0, 2 ** 40),
    quarantineMaxRows: parseInteger('QUARANTINE_MAX_ROWS', get('QUARANTINE_MAX_ROWS') ?? '100000', 0, 1_000_000_000),
    quarantineMaxBytes: parseInteger('QUARANTINE_MAX_BYTES', get('QUARANTINE_MAX_BYTES') ?? '1073741824', 0, 2 ** 40),
  };
}

function parseDatabaseUrl(text: string | undefined): string | undefined {
  if (text !== undefined && !isDatabaseUrl(text))
    throw new ConfigError('DATABASE_URL', `must look like ${URL_EXAMPLE}`);
  return text;
}

function parseReadUrls(text: string | undefined, databaseUrl: string | undefined): string[] {
  if (text === undefined) return [];
  if (databaseUrl === undefined) throw new ConfigError('DATABASE_READ_URL', 'is set, but DATABASE_URL is not');
  const urls = text.split(',').map((url) => url.trim());
  urls.forEach((url, index) => {
    const entry = `entry ${index + 1}`;
    if (!isDatabaseUrl(url)) throw new ConfigError('DATABASE_READ_URL', `${entry} must look like ${URL_EXAMPLE}`);
    if (url === databaseUrl)
      throw new ConfigError('DATABASE_READ_URL', `${entry} is DATABASE_URL, and no standby of it`);
  });
  return urls;
}

const URL_EXAMPLE = 'postgres://user:password@host:5432/database';

function isDatabaseUrl(text: string): boolean {
  return /^postgres(ql)?:\/\//.test(text) && URL.canParse(text) && isDecodable(text);
}

/** The driver decodes user and password, and would stumble over a bare percent sign. */
function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function parseWebhookTokens(text: string | undefined, mayBeMissing: boolean): string[] {
  if (text === undefined) return missing('WEBHOOK_TOKENS', mayBeMissing);
  const tokens = text.split(',').map((token) => token.trim());
  tokens.forEach((token, index) => {
    // The token is a segment of a URL that a person pastes: nothing in it may need escaping.
    if (!/^[\w.~-]+$/.test(token) || token === '.' || token === '..') {
      throw new ConfigError(
        'WEBHOOK_TOKENS',
        `entry ${index + 1} must have only letters, digits, ".", "_", "~" and "-"`,
      );
    }
  });
  return tokens;
}

function parseKeys(text: string | undefined, mayBeMissing: boolean): ApiKey[] {
  if (text === undefined) return missing('API_KEYS', mayBeMissing);
  try {
    return parseApiKeys(text);
  } catch (error) {
    throw new ConfigError('API_KEYS', `is malformed: ${(error as Error).message}`);
  }
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
