import { createHmac } from 'node:crypto';
import { digest } from './transcript.ts';

/**
 * How a tenant shows its one-time code without sending it: a MAC over its name and key, keyed with the code. Whoever
 * listens, or stands in the middle, can neither use the code for another key nor guess its 128 bits.
 */
export interface EnrolmentRequest {
  readonly tenant: string;
  /** Ed25519 public key, 32 bytes, hexadecimal */
  readonly key: string;
  /** `enrolmentProof`, hexadecimal */
  readonly proof: string;
  /** over `enrolmentDigest`, with that key: whoever enrols holds it */
  readonly signature: Uint8Array;
}

/** All that is kept of a code. @returns hexadecimal */
export const invitationHash = (code: string): string => hex(digest('parley/invitation/v1', code));

/** HMAC-SHA256 (RFC 2104). @param invitation - `invitationHash` of the code */
export function enrolmentProof(invitation: string, { tenant, key }: { tenant: string; key: string }): string {
  return createHmac('sha256', Buffer.from(invitation, 'hex'))
    .update(digest('parley/enrolment-proof/v1', tenant, key))
    .digest('hex');
}

export const enrolmentDigest = ({ tenant, key, proof }: Omit<EnrolmentRequest, 'signature'>): Uint8Array =>
  digest('parley/enrol/v1', tenant, key, proof);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
