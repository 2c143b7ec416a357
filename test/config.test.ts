import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findBySecret } from '../src/config/api-key.js';
import { maskNumber } from '../src/access/disclosure/mask.js';
import { parseConfig } from '../src/config/config.js';
import { SETTINGS } from '../src/config/settings.js';

const LOCKED = { WEBHOOK_TOKENS: 'token', API_KEYS: 'team:read:secret', DATABASE_URL: 'postgres://u:p@h:5432/d' };

const RANGE = 'must be an IP address, or a block like 192.0.2.0/24 or 2001:db8::/32';

describe('settings', () => {
  test('with none at all the service runs in local mode and makes its secrets', () => {
    expect(parseConfig({})).toEqual({
      databaseUrl: undefined,
      databaseReadUrls: [],
      dataDir: path.resolve('.data'),
      host: '127.0.0.1',
      port: 3000,
      spoolMaxBytes: 1_073_741_824,
      quarantineMaxRows: 100_000,
      quarantineMaxBytes: 1_073_741_824,
      webhookTokens: [],
      apiKeys: [],
      generateSecrets: true,
      bodyLimitBytes: 1_048_576,
      retention: {
        bodies: undefined,
        notifications: undefined,
        quarantine: undefined,
        cases: undefined,
        audit: undefined,
      },
      webhookTokensFile: undefined,
      apiKeysFile: undefined,
      webhookAllowedAddresses: [],
      trustProxy: [],
      rateLimitPerKey: 30_000,
      rateLimitPerAddress: 60_000,
      rateLimitFailures: 60,
    });
  });

  test('have the defaults of the table', () => {
    const defaults = SETTINGS.flatMap((setting) => ('default' in setting ? [[setting.name, setting.default]] : []));
    expect(parseConfig({})).toEqual(parseConfig(Object.fromEntries(defaults) as Record<string, string>));
  });

  test('with a database secrets must be given', () => {
    expect(() => parseConfig({ ...LOCKED, WEBHOOK_TOKENS: undefined })).toThrow(/^WEBHOOK_TOKENS is not set/);
    expect(() => parseConfig({ ...LOCKED, API_KEYS: '' })).toThrow(/^API_KEYS is not set/);
    expect(parseConfig({ ...LOCKED, API_KEYS: '', GENERATE_SECRETS: 'true' }).apiKeys).toEqual([]);
    expect(() => parseConfig({ GENERATE_SECRETS: 'false' })).toThrow(/^WEBHOOK_TOKENS is not set/);
  });

  test('what is kept longer than what it belongs to is a mistake', () => {
    const days = { RETAIN_BODIES_DAYS: '30', RETAIN_NOTIFICATIONS_DAYS: '30', RETAIN_CASES_DAYS: '365' };
    expect(parseConfig({ ...LOCKED, ...days }).retention).toEqual({
      bodies: 30,
      notifications: 30,
      quarantine: undefined,
      cases: 365,
      audit: undefined,
    });
    expect(parseConfig({ ...LOCKED, RETAIN_AUDIT_DAYS: '90' }).retention.audit).toBe(90);
    for (const [name, longer] of [
      ['RETAIN_BODIES_DAYS', 'RETAIN_NOTIFICATIONS_DAYS'],
      ['RETAIN_NOTIFICATIONS_DAYS', 'RETAIN_CASES_DAYS'],
    ] as const) {
      expect(() => parseConfig({ ...LOCKED, ...days, [name]: '366' })).toThrow(
        `${name} must not be more than ${longer}`,
      );
    }
  });

  test.each([
    ['DATABASE_URL', 'mysql://h/d', 'must look like postgres://user:password@host:5432/database'],
    ['DATABASE_URL', 'postgres://h:port/d', 'must look like postgres://user:password@host:5432/database'],
    [
      'DATABASE_READ_URL',
      'postgres://u:s3cr3t@h/d,h',
      'entry 2 must look like postgres://user:password@host:5432/database',
    ],
    ['DATABASE_READ_URL', 'postgres://u:p@h:5432/d', 'entry 1 is DATABASE_URL, and no standby of it'],
    ['PORT', '70000', 'must be a whole number from 0 to 65535'],
    ['PORT', '0x10', 'must be a whole number from 0 to 65535'],
    ['BODY_LIMIT_BYTES', '1MB', 'must be a whole number from 1 to 67108864'],
    ['BODY_LIMIT_BYTES', '0', 'must be a whole number from 1 to 67108864'],
    ['RETAIN_BODIES_DAYS', '0', 'must be a whole number from 1 to 36500'],
    ['RETAIN_NOTIFICATIONS_DAYS', '1.5', 'must be a whole number from 1 to 36500'],
    ['RETAIN_QUARANTINE_DAYS', 'never', 'must be a whole number from 1 to 36500'],
    ['RETAIN_CASES_DAYS', '-1', 'must be a whole number from 1 to 36500'],
    ['QUARANTINE_MAX_ROWS', '-1', 'must be a whole number from 0 to 1000000000'],
    ['QUARANTINE_MAX_BYTES', '1GB', 'must be a whole number from 0 to 1099511627776'],
    ['RETAIN_AUDIT_DAYS', '36501', 'must be a whole number from 1 to 36500'],
    ['GENERATE_SECRETS', 'yes', 'must be true or false'],
    ['WEBHOOK_TOKENS', 'good,b/d', 'is malformed: entry 2 must have only letters, digits, ".", "_", "~" and "-"'],
    ['WEBHOOK_TOKENS', 'good,', 'is malformed: entry 2 must have only letters, digits, ".", "_", "~" and "-"'],
    ['WEBHOOK_TOKENS', 'sha256:abc', 'is malformed: entry 1: after "sha256:" come 64 hexadecimal digits'],
    ['API_KEYS', 'a:read:sha256:s3cr3t', 'is malformed: entry 1: after "sha256:" come 64 hexadecimal digits'],
    ['WEBHOOK_ALLOWED_ADDRESSES', '10.0.0.1,10.0.0', `entry 2 ${RANGE}`],
    ['WEBHOOK_ALLOWED_ADDRESSES', '10.0.0.0/33', `entry 1 ${RANGE}`],
    ['WEBHOOK_ALLOWED_ADDRESSES', '::ffff:10.0.0.0/95', `entry 1 ${RANGE}`],
    ['WEBHOOK_ALLOWED_ADDRESSES', 'provider.example', `entry 1 ${RANGE}`],
    ['WEBHOOK_ALLOWED_ADDRESSES', '10.0.0.1,', `entry 2 ${RANGE}`],
    ['TRUST_PROXY', '2001:db8::/129', `entry 1 ${RANGE}`],
    ['TRUST_PROXY', 'true', 'must be a whole number from 1 to 10'],
    ['TRUST_PROXY', '0', 'must be a whole number from 1 to 10'],
    ['RATE_LIMIT_PER_KEY', '-1', 'must be a whole number from 0 to 1000000000'],
    ['RATE_LIMIT_PER_ADDRESS', 'none', 'must be a whole number from 0 to 1000000000'],
    ['RATE_LIMIT_FAILURES', '1.5', 'must be a whole number from 0 to 1000000000'],
    [
      'DATABASE_URL',
      'postgres://u:s3cr3t@h/d?sslmode=verify_full',
      'must have an sslmode of disable, prefer, require, verify-ca, verify-full, no-verify',
    ],
    [
      'DATABASE_URL',
      'postgres://u:s3cr3t@h/d?sslmode=verify-full&sslrootcert=/not/there',
      'names in sslrootcert a file that cannot be read (ENOENT)',
    ],
    [
      'DATABASE_READ_URL',
      'postgres://u:s3cr3t@h/d?sslkey=/not/there',
      'entry 1 names in sslkey a file that cannot be read (ENOENT)',
    ],
    ['API_KEYS', 'secret', 'is malformed: entry 1 must look like name:scopes:secret'],
    ['API_KEYS', 'a:read:', 'is malformed: entry 1 must look like name:scopes:secret'],
    [
      'API_KEYS',
      'a:read:x,b:write:s3cr3t',
      'is malformed: entry 2: a scope is one of read, reveal, operate, joined by "+"',
    ],
    ['API_KEYS', 'a:read:x,a:read:y', 'is malformed: two entries have the same name'],
    ['API_KEYS', 'a b:read:x', 'is malformed: entry 1: a name has only letters, digits, ".", "_" and "-"'],
    ['API_KEYS', 'a:read:s3cr3t with space', 'is malformed: entry 1: a secret has only visible ASCII characters'],
  ])('%s=%s stops the start with one line that names it and repeats no secret', (name, value, problem) => {
    expect(() => parseConfig({ ...LOCKED, [name]: value })).toThrow(
      expect.objectContaining({ message: `${name} ${problem}` }),
    );
  });

  test('read replicas are given one by one, and only beside their primary', () => {
    const DATABASE_READ_URL = 'postgres://u:p%2Cq@one/d, postgres://u:p@two/d';
    const urls = ['postgres://u:p%2Cq@one/d', 'postgres://u:p@two/d'];
    expect(parseConfig({ ...LOCKED, DATABASE_READ_URL }).databaseReadUrls).toEqual(urls);
    expect(parseConfig(LOCKED).databaseReadUrls).toEqual([]);
    expect(() => parseConfig({ DATABASE_READ_URL })).toThrow('DATABASE_READ_URL is set, but DATABASE_URL is not');
  });

  describe('that hold secrets may come from files:', () => {
    let directory: string;
    beforeAll(async () => {
      directory = await mkdtemp(path.join(tmpdir(), 'airudder-config-'));
    });
    afterAll(async () => rm(directory, { recursive: true }));

    const inFile = async (text: string): Promise<string> => {
      const file = path.join(directory, randomUUID());
      await writeFile(file, text);
      return file;
    };

    test.each([
      ['one a line', 'a:read:x\nb:read:y\n'],
      ['lines of Windows, an empty one among them', '\uFEFFa:read:x\r\n\r\n  b:read:y\r\n'],
      ['comma separated', 'a:read:x, b:read:y'],
    ])('%s', async (_, text) => {
      const config = parseConfig({ ...LOCKED, API_KEYS: ' ', API_KEYS_FILE: await inFile(text) });
      expect(config.apiKeys).toEqual(parseConfig({ ...LOCKED, API_KEYS: 'a:read:x,b:read:y' }).apiKeys);
    });

    test('each of them', async () => {
      const DATABASE_URL_FILE = await inFile('postgres://u:p@h/d\n');
      const DATABASE_READ_URL_FILE = await inFile('postgres://u:p@one/d\npostgres://u:p@two/d\n');
      const files = { WEBHOOK_TOKENS_FILE: await inFile('a\nb'), API_KEYS_FILE: await inFile('a:read:x') };
      expect(parseConfig({ DATABASE_URL_FILE, DATABASE_READ_URL_FILE, ...files })).toMatchObject({
        databaseUrl: 'postgres://u:p@h/d',
        databaseReadUrls: ['postgres://u:p@one/d', 'postgres://u:p@two/d'],
        webhookTokens: ['a', 'b'],
        webhookTokensFile: files.WEBHOOK_TOKENS_FILE,
        apiKeys: [{ name: 'a' }],
        apiKeysFile: files.API_KEYS_FILE,
        generateSecrets: false,
      });
    });

    test.each([
      [
        'WEBHOOK_TOKENS',
        'good\ns3cr3t/',
        'is malformed: entry 2 must have only letters, digits, ".", "_", "~" and "-"',
      ],
      ['API_KEYS', 'a:write:s3cr3t', 'is malformed: entry 1: a scope is one of read, reveal, operate, joined by "+"'],
      ['DATABASE_URL', 's3cr3t', 'must look like postgres://user:password@host:5432/database'],
      ['API_KEYS', ' \n\n', 'names a file with nothing in it'],
    ])('one for %s that has %j stops the start, and is not repeated', async (name, text, problem) => {
      const settings = { ...LOCKED, [name]: undefined, [`${name}_FILE`]: await inFile(text) };
      expect(() => parseConfig(settings)).toThrow(expect.objectContaining({ message: `${name}_FILE ${problem}` }));
    });

    test('one that is not there, or beside the setting itself, stops the start', () => {
      const WEBHOOK_TOKENS_FILE = path.join(directory, 'not-there');
      expect(() => parseConfig({ ...LOCKED, WEBHOOK_TOKENS: '', WEBHOOK_TOKENS_FILE })).toThrow(
        'WEBHOOK_TOKENS_FILE names a file that cannot be read (ENOENT)',
      );
      expect(() => parseConfig({ ...LOCKED, WEBHOOK_TOKENS_FILE })).toThrow(
        'WEBHOOK_TOKENS_FILE is set, and WEBHOOK_TOKENS too: set one of them',
      );
      expect(() => parseConfig({ ...LOCKED, WEBHOOK_TOKENS: '', WEBHOOK_TOKENS_FILE: directory })).toThrow(
        /\(EISDIR\)$/,
      );
    });
  });

  test('proxies are trusted by address or by number', () => {
    expect(parseConfig({ ...LOCKED, TRUST_PROXY: '2' }).trustProxy).toBe(2);
    expect(parseConfig({ ...LOCKED, TRUST_PROXY: '10.0.0.0/8, ::1' }).trustProxy).toHaveLength(2);
  });

  test('a key may have several scopes, and a secret may have colons', () => {
    const [key] = parseConfig({ ...LOCKED, API_KEYS: 'ops:read+operate:a:b:c' }).apiKeys;
    expect(key?.name).toBe('ops');
    expect([...(key?.scopes ?? [])]).toEqual(['read', 'operate']);
    expect(findBySecret(key ? [key] : [], 'a:b:c')).toBe(key);
  });

  test('a configuration that is printed by mistake shows no API key', () => {
    expect(JSON.stringify(parseConfig({ ...LOCKED, API_KEYS: 'ops:read:very-secret' }))).not.toMatch('very-secret');
  });

  test('.env.example names every setting, with its default, and no other', async () => {
    const lines = (await readFile('.env.example', 'utf8')).split('\n');
    const named = lines.flatMap((line) => /^# ([A-Z_]+)=/.exec(line)?.[1] ?? []);
    expect(named).toEqual(SETTINGS.map(({ name }) => name));
    for (const setting of SETTINGS) {
      if ('default' in setting) expect(lines).toContain(`# ${setting.name}=${setting.default}`);
    }
  });

  test("the table of settings in the docs is the service's", async () => {
    const table = await readFile('docs/settings.md', 'utf8');
    for (const setting of SETTINGS) {
      const shown =
        'default' in setting ? `\`${setting.default}\`` : 'defaultNote' in setting ? setting.defaultNote : 'none';
      const cells = [`\`${setting.name}\``, shown, setting.description].map((cell) => `${escape(cell)} *`);
      expect(table).toMatch(new RegExp(`^\\| ${cells.join('\\| ')}\\|$`, 'm'));
    }
    const rows = table.match(/^\| `[A-Z_]+` /gm) ?? [];
    expect(rows).toHaveLength(SETTINGS.length);
  });
});

describe('a masked number', () => {
  test.each([
    ['+628123456', '*******456'],
    ['1234567', '****567'],
    ['123456', '******'],
    ['1', '*'],
    ['', ''],
    ['12345😀7', '****5😀7'],
  ])('%s is shown as %s', (number, masked) => {
    expect(maskNumber(number)).toBe(masked);
  });
});

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
