import { hash } from 'node:crypto';

const PREFIX = 'sha256:';

/** Of a secret as a client sends it. */
export function digestSecret(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

/** Of a secret as an operator may give it: itself, or `sha256:` and its digest in hexadecimal. */
export function parseSecretDigest(text: string): Buffer {
  return isSecretDigest(text) ? Buffer.from(text.slice(PREFIX.length), 'hex') : digestSecret(text);
}

/** Whether an operator gave a digest, and the secret itself is not known here. */
export function isSecretDigest(text: string): boolean {
  return /^sha256:[\da-f]{64}$/i.test(text);
}

/** @throws Error if it is meant as a digest, but is none: as a secret of its own it would open nothing */
export function assertValidDigest(text: string, entry: string): void {
  if (text.startsWith(PREFIX) && !isSecretDigest(text)) {
    throw new Error(`${entry}: after "${PREFIX}" come 64 hexadecimal digits`);
  }
}
