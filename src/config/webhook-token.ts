import { isSecretDigest, assertValidDigest } from './secret-digest.js';

/**
 * Parses comma-separated tokens.
 *
 * @throws Error that says which entry is wrong, and never repeats one
 */
export function parseWebhookTokens(text: string): string[] {
  const tokens = text.split(',').map((token) => token.trim());
  tokens.forEach((token, index) => {
    const entry = `entry ${index + 1}`;
    assertValidDigest(token, entry);
    // The token is a segment of a URL that a person pastes, so it must not need escaping.
    if (!isSecretDigest(token) && (!/^[\w.~-]+$/.test(token) || token === '.' || token === '..')) {
      throw new Error(`${entry} must have only letters, digits, ".", "_", "~" and "-"`);
    }
  });
  return tokens;
}
