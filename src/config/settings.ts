/** Every variable that the service knows: name, default, meaning. README.md and .env.example are held equal to it. */
export const SETTINGS = [
  ['DATABASE_URL', 'none', 'PostgreSQL 14 or later. None: local mode, an embedded PostgreSQL in `DATA_DIR`.'],
  ['DATABASE_URL_FILE', 'none', 'A file that has it instead, as orchestrators mount secrets. Read at the start.'],
  [
    'DATABASE_READ_URL',
    'none',
    'Streaming standbys of it that `/v1` reads from, comma separated (a comma in a password is `%2C`).',
  ],
  ['DATABASE_READ_URL_FILE', 'none', 'A file that has them instead. Read at the start.'],
  ['DATA_DIR', '.data', 'Embedded database, spool and generated secrets.'],
  ['HOST', '127.0.0.1', 'Address to listen on. The container image sets `0.0.0.0`.'],
  ['PORT', '3000', 'Port to listen on; 0 takes a free one.'],
  [
    'WEBHOOK_TOKENS',
    'none',
    'Tokens that open the webhook, comma separated, so that one can be rotated. One may be given as `sha256:<64 hex>`.',
  ],
  [
    'WEBHOOK_TOKENS_FILE',
    'none',
    'A file that has them instead, comma separated or one a line. A change counts within seconds, without a restart.',
  ],
  [
    'API_KEYS',
    'none',
    '`name:scopes:secret,…`; scopes `read`, `reveal`, `operate` joined by `+`. A secret may be given as `sha256:<64 hex>`.',
  ],
  [
    'API_KEYS_FILE',
    'none',
    'A file that has them instead, comma separated or one a line. A change counts within seconds, without a restart.',
  ],
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
  [
    'WEBHOOK_ALLOWED_ADDRESSES',
    'none',
    'From where the webhook may be called: IP addresses and CIDR blocks, comma separated. None: from anywhere.',
  ],
  [
    'TRUST_PROXY',
    'none',
    'Proxies whose `X-Forwarded-For` counts: their addresses and CIDR blocks, or how many are one behind the other.',
  ],
  ['RATE_LIMIT_PER_KEY', '30000', 'Requests a minute with one API key; 0: no limit.'],
  ['RATE_LIMIT_PER_ADDRESS', '60000', 'Requests a minute with API keys from one address (IPv6: one /64); 0: no limit.'],
  [
    'RATE_LIMIT_FAILURES',
    '60',
    'Wrong tokens and keys a minute from one address (IPv6: one /64), before they get `429`; 0: no limit.',
  ],
] as const;
