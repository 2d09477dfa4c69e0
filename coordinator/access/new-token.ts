import { randomBytes } from 'node:crypto';
import { hex } from '../../aggregation/plan.ts';
import { sha256 } from '../../aggregation/transcript.ts';

/**
 * A token's text: `plt_<id>_<secret>`. The id, 16 hexadecimal digits, finds it; the secret, 32 random bytes in base64url, proves it.
 * The beginning is for scanners that look for secrets where none should be.
 */
export interface TokenText {
  readonly token: string;
  readonly id: string;
  /** SHA-256 of the secret's text, hexadecimal: all that a coordinator is told when the token is made */
  readonly secretHash: string;
}

export function newToken(): TokenText {
  return tokenIn(`plt_${randomBytes(8).toString('hex')}_${randomBytes(32).toString('base64url')}`)!;
}

/** @returns undefined when the text is no token */
export function tokenIn(token: string): TokenText | undefined {
  const [, id, secret] = /^plt_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/.exec(token) ?? [];
  return id === undefined || secret === undefined ? undefined : { token, id, secretHash: hex(sha256(secret)) };
}
