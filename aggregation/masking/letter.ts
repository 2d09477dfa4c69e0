import { createSecretKey } from 'node:crypto';
import { decrypt, encrypt, NONCE_BYTES, TAG_BYTES } from '../aes-gcm.ts';
import { hkdf } from '../key-agreement.ts';
import { offerBytes } from '../pair-key.ts';
import type { KeyAgreement, TenantId } from '../secure-sum.ts';
import { digest } from '../transcript.ts';
import { SEED_BYTES } from './messages.ts';

/**
 * What one tenant deals another, and the coordinator passes on unread:
 *
 *   [mask offer] ‖ share offer ‖ AES-256-GCM(share of b ‖ share of the mask seed)
 *
 * The mask offer is there when the sender's name comes first: one of a pair offers, the other takes. It is not secret, and
 * the coordinator needs it should the recipient be lost.
 */
export interface Letter {
  /** empty where the recipient offers */
  readonly maskOffer: Uint8Array;
  readonly shareOffer: Uint8Array;
  readonly sealed: Uint8Array;
}

/** Bytes of what is sealed to a neighbour whose name comes later, or earlier. */
export const letterBytes = (kind: KeyAgreement, first: boolean): number =>
  (first ? 2 : 1) * offerBytes(kind) + 2 * SEED_BYTES + TAG_BYTES;

/** @returns undefined when the length is not that of a letter from `from` to `to` */
export function readLetter(bytes: Uint8Array, kind: KeyAgreement, from: TenantId, to: TenantId): Letter | undefined {
  if (bytes.length !== letterBytes(kind, from < to)) return undefined;
  const maskEnd = from < to ? offerBytes(kind) : 0;
  const shareEnd = maskEnd + offerBytes(kind);
  return {
    maskOffer: bytes.subarray(0, maskEnd),
    shareOffer: bytes.subarray(maskEnd, shareEnd),
    sealed: bytes.subarray(shareEnd),
  };
}

/** What both ends of a letter agree on: nobody else's, no other round's and no other direction's letter opens. */
export interface Envelope {
  /** 32 bytes, agreed for this direction; seals one letter */
  readonly secret: Uint8Array;
  readonly identity: Uint8Array;
  readonly from: TenantId;
  readonly to: TenantId;
}

export const seal = (shares: Uint8Array, envelope: Envelope): Uint8Array =>
  withKey(envelope, (key, nonce, associated) => encrypt(key, nonce, shares, associated));

/** @returns undefined when it was sealed in another envelope, or changed */
export const unseal = (sealed: Uint8Array, envelope: Envelope): Uint8Array | undefined =>
  withKey(envelope, (key, nonce, associated) => decrypt(key, nonce, sealed, associated));

function withKey<T>(
  { secret, identity, from, to }: Envelope,
  use: (key: ReturnType<typeof createSecretKey>, nonce: Uint8Array, associated: Uint8Array) => T,
): T {
  const associated = digest('parley/masking/letter/v1', identity, from, to);
  // the nonce comes with the key, which seals once: as in RFC 9180 §5.1
  const derived = hkdf(secret, identity, associated, 32 + NONCE_BYTES);
  const result = use(createSecretKey(derived.subarray(0, 32)), derived.subarray(32), associated);
  derived.fill(0);
  return result;
}
