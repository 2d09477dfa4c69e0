import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import { agreementKey, hkdf } from './key-agreement.ts';
import type { KeyAgreement, SumShape } from './secure-sum.ts';
import { digest } from './transcript.ts';

/**
 * A secret between two tenants for one round, from a seed on each side.
 *
 *   x25519               both compute the same point (RFC 7748 §6.1); nothing more is sent
 *   x25519-ml-kem-768    besides, one *offers* an ML-KEM-768 ciphertext (FIPS 203 §7.2) that the other *takes*
 *
 * The secret is HKDF over both shared secrets, ML-KEM's first, with both public keys and the ciphertext as context: safe
 * while either of the two holds (as X25519MLKEM768 in RFC 10024, which was draft-ietf-tls-ecdhe-mlkem; concatenation before
 * a KDF: NIST SP 800-56C Rev. 2 §2). Everything follows from the seed, the ciphertexts too: who is given a lost tenant's seed recomputes what
 * it shared with everybody.
 */
export interface PairKey {
  readonly publicKey: Uint8Array;
  /** One side of a pair: the secret, and what the other side needs for it. The same each time. @returns undefined for a key that may not be used */
  offer(peer: Uint8Array): { readonly offer: Uint8Array; readonly secret: Uint8Array } | undefined;
  /** The other side. @returns undefined for a key or an offer that may not be used */
  take(peer: Uint8Array, offer: Uint8Array): Uint8Array | undefined;
}

/** FIPS 203 §8, table 3. */
const ENCAPSULATION_KEY_BYTES = 1184;
const CIPHERTEXT_BYTES = 1088;
const X25519_BYTES = 32;

/** How tenants of such a sum agree. */
export const keyAgreementOf = ({ keyAgreement = 'x25519' }: Pick<SumShape, 'keyAgreement'>): KeyAgreement =>
  keyAgreement;

/** Bytes of a public key. */
export const publicKeyBytes = (kind: KeyAgreement): number =>
  kind === 'x25519' ? X25519_BYTES : X25519_BYTES + ENCAPSULATION_KEY_BYTES;

/** Bytes of an offer. */
export const offerBytes = (kind: KeyAgreement): number => (kind === 'x25519' ? 0 : CIPHERTEXT_BYTES);

/**
 * @param seed - 32 uniform bytes
 * @param transcript - of the round, bound to the protocol and to what the key is for where a seed makes several: the same
 *   seed makes other keys elsewhere
 */
export function pairKey(seed: Uint8Array, kind: KeyAgreement, transcript: Uint8Array): PairKey {
  const secretKey = hkdf(seed, transcript, digest('parley/pair-key/x25519/v1', transcript), 32);
  const x25519 = agreementKey(secretKey);
  secretKey.fill(0);
  const kem = kind === 'x25519' ? WITHOUT_KEM : mlKem(seed, transcript);
  const publicKey = Buffer.concat([x25519.publicKey, kem.publicKey]);

  const combined = (mine: 'offer' | 'take', peer: Uint8Array, offer: Uint8Array, kemSecret: Uint8Array) => {
    const point = x25519.agree(peer.subarray(0, X25519_BYTES));
    if (point === undefined) return undefined; // a point of low order (RFC 7748 §6.1)
    const [offerer, taker] = mine === 'offer' ? [publicKey, peer] : [peer, publicKey];
    const both = Buffer.concat([kemSecret, point]);
    const secret = hkdf(
      both,
      transcript,
      digest('parley/pair-key/secret/v1', transcript, kind, offerer, taker, offer),
      32,
    );
    for (const part of [both, point, kemSecret]) part.fill(0);
    return secret;
  };

  return {
    publicKey,
    offer(peer) {
      if (peer.length !== publicKeyBytes(kind)) return undefined;
      const sent = kem.encapsulate(peer.subarray(X25519_BYTES));
      const secret = sent && combined('offer', peer, sent.offer, sent.secret);
      return secret && { offer: sent.offer, secret };
    },
    take(peer, offer) {
      if (peer.length !== publicKeyBytes(kind) || offer.length !== offerBytes(kind)) return undefined;
      return combined('take', peer, offer, kem.decapsulate(offer));
    },
  };
}

interface Kem {
  readonly publicKey: Uint8Array;
  encapsulate(peer: Uint8Array): { readonly offer: Uint8Array; readonly secret: Uint8Array } | undefined;
  decapsulate(offer: Uint8Array): Uint8Array;
}

const NOTHING = new Uint8Array(0);
const WITHOUT_KEM: Kem = {
  publicKey: NOTHING,
  encapsulate: () => ({ offer: NOTHING, secret: NOTHING }),
  decapsulate: () => NOTHING,
};

function mlKem(seed: Uint8Array, transcript: Uint8Array): Kem {
  const keySeed = hkdf(seed, transcript, digest('parley/pair-key/ml-kem-768/v1', transcript), 64); // d ‖ z, FIPS 203 §6.1
  const { publicKey, secretKey } = ml_kem768.keygen(keySeed);
  keySeed.fill(0);
  return {
    publicKey,
    encapsulate(peer) {
      // m of FIPS 203 §6.2, one for each peer: nobody but who knows the seed can tell it from random
      const m = hkdf(seed, transcript, digest('parley/pair-key/encapsulate/v1', transcript, peer), 32);
      try {
        const { cipherText, sharedSecret } = ml_kem768.encapsulate(peer, m);
        return { offer: cipherText, secret: sharedSecret };
      } catch {
        return undefined; // no encapsulation key: FIPS 203 §7.2, modulus check
      } finally {
        m.fill(0);
      }
    },
    decapsulate: (offer) => ml_kem768.decapsulate(offer, secretKey),
  };
}
