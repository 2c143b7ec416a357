import { hash } from 'node:crypto';

const PREFIX = 'sha256:';

/** Returns the SHA-256 digest of a secret. */
export function digestSecret(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

/** Returns the digest of a setting: of the secret itself, or the hexadecimal digest after `sha256:`. */
export function parseSecretDigest(text: string): Buffer {
  return isSecretDigest(text) ? Buffer.from(text.slice(PREFIX.length), 'hex') : digestSecret(text);
}

/** True if the setting is a digest instead of the secret. */
export function isSecretDigest(text: string): boolean {
  return /^sha256:[\da-f]{64}$/i.test(text);
}

/** @throws Error if the text starts like a digest but is malformed */
export function assertValidDigest(text: string, entry: string): void {
  if (text.startsWith(PREFIX) && !isSecretDigest(text)) {
    throw new Error(`${entry}: after "${PREFIX}" come 64 hexadecimal digits`);
  }
}
