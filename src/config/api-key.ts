import { timingSafeEqual } from 'node:crypto';
import { parseSecretDigest, digestSecret, assertValidDigest } from './secret-digest.js';

/** `read` queries; `reveal` also gets unmasked phone numbers and raw bodies; `operate` also manages the quarantine. */
export const SCOPES = ['read', 'reveal', 'operate'] as const;
export type Scope = (typeof SCOPES)[number];

/** API key of an internal team. The name may be logged; only the digest of the secret is stored. */
export interface ApiKey {
  readonly name: string;
  readonly scopes: ReadonlySet<Scope>;
  readonly digest: Buffer;
}

/** @param secret the secret itself, or `sha256:` and its digest */
export function makeApiKey(name: string, scopes: readonly Scope[], secret: string): ApiKey {
  return { name, scopes: new Set(scopes), digest: parseSecretDigest(secret) };
}

/** True if name, secret and scopes are equal. */
export function isSameKey(one: ApiKey, other: ApiKey): boolean {
  return (
    one.name === other.name &&
    timingSafeEqual(one.digest, other.digest) &&
    SCOPES.every((scope) => one.scopes.has(scope) === other.scopes.has(scope))
  );
}

/**
 * Finds the candidate with this secret. Compares digests of equal length in constant time, and always with every
 * candidate, so that the duration reveals nothing.
 */
export function findBySecret<T extends { readonly digest: Buffer }>(
  candidates: readonly T[],
  secret: string,
): T | undefined {
  const digest = digestSecret(secret);
  let found: T | undefined;
  for (const candidate of candidates) {
    if (timingSafeEqual(candidate.digest, digest)) found = candidate;
  }
  return found;
}

/**
 * Parses `name:scopes:secret,…` with scopes joined by `+`.
 *
 * @throws Error that says which entry is wrong and why, and never repeats a secret
 */
export function parseApiKeys(text: string): ApiKey[] {
  const keys = text.split(',').map((entry, index) => parseApiKey(entry.trim(), index + 1));
  const names = new Set(keys.map((key) => key.name));
  if (names.size < keys.length) throw new Error('two entries have the same name');
  return keys;
}

function parseApiKey(entry: string, ordinal: number): ApiKey {
  const [, name, scopes, secret] = /^([^:]*):([^:]*):(.*)$/s.exec(entry) ?? [];
  if (!name || !scopes || !secret) throw new Error(`entry ${ordinal} must look like name:scopes:secret`);
  if (!/^[\w.-]+$/.test(name)) throw new Error(`entry ${ordinal}: a name has only letters, digits, ".", "_" and "-"`);
  if (!/^[\x21-\x7e]+$/.test(secret)) throw new Error(`entry ${ordinal}: a secret has only visible ASCII characters`);
  assertValidDigest(secret, `entry ${ordinal}`);
  return makeApiKey(
    name,
    scopes.split('+').map((scope) => parseScope(scope, ordinal)),
    secret,
  );
}

function parseScope(text: string, ordinal: number): Scope {
  const scope = SCOPES.find((each) => each === text.trim());
  if (!scope) throw new Error(`entry ${ordinal}: a scope is one of ${SCOPES.join(', ')}, joined by "+"`);
  return scope;
}
