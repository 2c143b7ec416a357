/** An environment variable of the service. */
interface Setting {
  readonly name: string;
  /** Value of an unset or empty variable; absent if the setting is then off or required. */
  readonly default?: string;
  /** Replaces `default` in the documentation if the default depends on another setting. */
  readonly defaultNote?: string;
  /** Smallest and largest accepted whole number. */
  readonly range?: readonly [min: number, max: number];
  readonly description: string;
}

export type SettingName = (typeof SETTINGS)[number]['name'];

const MAX_RETENTION_DAYS = 36_500;

/** All settings. Tests hold the documented table and `.env.example` equal to it. */
export const SETTINGS = [
  {
    name: 'DATABASE_URL',
    description: 'PostgreSQL 14 or later. None: local mode, an embedded PostgreSQL in `DATA_DIR`.',
  },
  {
    name: 'DATABASE_URL_FILE',
    description: 'A file that has it instead, as orchestrators mount secrets. Read at the start.',
  },
  {
    name: 'DATABASE_READ_URL',
    description: 'Streaming standbys of it that `/v1` reads from, comma separated (a comma in a password is `%2C`).',
  },
  {
    name: 'DATABASE_READ_URL_FILE',
    description: 'A file that has them instead. Read at the start.',
  },
  {
    name: 'DATA_DIR',
    default: '.data',
    description: 'Embedded database, spool and generated secrets.',
  },
  {
    name: 'HOST',
    default: '127.0.0.1',
    description: 'Address to listen on. The container image sets `0.0.0.0`.',
  },
  {
    name: 'PORT',
    default: '3000',
    range: [0, 65_535],
    description: 'Port to listen on; 0 takes a free one.',
  },
  {
    name: 'WEBHOOK_TOKENS',
    description:
      'Tokens that open the webhook, comma separated, so that one can be rotated. One may be given as `sha256:<64 hex>`.',
  },
  {
    name: 'WEBHOOK_TOKENS_FILE',
    description:
      'A file that has them instead, comma separated or one a line. A change counts within seconds, without a restart.',
  },
  {
    name: 'API_KEYS',
    description:
      '`name:scopes:secret,…`; scopes `read`, `reveal`, `operate` joined by `+`. A secret may be given as `sha256:<64 hex>`.',
  },
  {
    name: 'API_KEYS_FILE',
    description:
      'A file that has them instead, comma separated or one a line. A change counts within seconds, without a restart.',
  },
  {
    name: 'GENERATE_SECRETS',
    defaultNote: '`true` in local mode, else `false`',
    description:
      'Make a missing token and key at random, keep them in `DATA_DIR` (mode 0600) and print them at the start.',
  },
  {
    name: 'BODY_LIMIT_BYTES',
    default: '1048576',
    range: [1, 64 * 1024 * 1024],
    description: 'Largest accepted notification, after decompression.',
  },
  {
    name: 'SPOOL_MAX_BYTES',
    default: '1073741824',
    range: [0, 2 ** 40],
    description:
      'Room in `DATA_DIR/spool` for notifications that PostgreSQL cannot take yet; a notification needs about 1 kB.',
  },
  {
    name: 'QUARANTINE_MAX_ROWS',
    default: '100000',
    range: [0, 1_000_000_000],
    description: 'Refused bodies that are kept at most; beyond them `503`, and nothing is evicted.',
  },
  {
    name: 'QUARANTINE_MAX_BYTES',
    default: '1073741824',
    range: [0, 2 ** 40],
    description: 'Bytes that refused bodies may have together, likewise.',
  },
  {
    name: 'RETAIN_BODIES_DAYS',
    range: [1, MAX_RETENTION_DAYS],
    description: 'Days after which the bytes of a notification are removed. None keeps them.',
  },
  {
    name: 'RETAIN_NOTIFICATIONS_DAYS',
    range: [1, MAX_RETENTION_DAYS],
    description: 'Days after which a notification is removed, and its event in the feed.',
  },
  {
    name: 'RETAIN_QUARANTINE_DAYS',
    range: [1, MAX_RETENTION_DAYS],
    description: 'Days after which a refused body is removed that did not come again.',
  },
  {
    name: 'RETAIN_CASES_DAYS',
    range: [1, MAX_RETENTION_DAYS],
    description: 'Days without a notification after which a case is removed, with all that belongs to it.',
  },
  {
    name: 'RETAIN_AUDIT_DAYS',
    range: [1, MAX_RETENTION_DAYS],
    description: 'Days after which the record of what was shown whole is removed.',
  },
  {
    name: 'WEBHOOK_ALLOWED_ADDRESSES',
    description:
      'From where the webhook may be called: IP addresses and CIDR blocks, comma separated. None: from anywhere.',
  },
  {
    name: 'TRUST_PROXY',
    range: [1, 10],
    description:
      'Proxies whose `X-Forwarded-For` counts: their addresses and CIDR blocks, or how many are one behind the other.',
  },
  {
    name: 'RATE_LIMIT_PER_KEY',
    default: '30000',
    range: [0, 1_000_000_000],
    description: 'Requests a minute with one API key; 0: no limit.',
  },
  {
    name: 'RATE_LIMIT_PER_ADDRESS',
    default: '60000',
    range: [0, 1_000_000_000],
    description: 'Requests a minute with API keys from one address (IPv6: one /64); 0: no limit.',
  },
  {
    name: 'RATE_LIMIT_FAILURES',
    default: '60',
    range: [0, 1_000_000_000],
    description: 'Wrong tokens and keys a minute from one address (IPv6: one /64), before they get `429`; 0: no limit.',
  },
] as const satisfies readonly Setting[];

/** The entry of one setting. */
export const SETTING_BY_NAME = Object.fromEntries(SETTINGS.map((setting) => [setting.name, setting])) as Readonly<
  Record<SettingName, Setting>
>;
