import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import {
  ED25519,
  ED25519_COSIGNATURE,
  type Signer,
  type VerifierKey,
  type Verify,
} from '../../../privacy/transparency/verifier-key.ts';

// RFC 8410 §7 and §4: what stands before the seed in PKCS #8, and before the public key in SubjectPublicKeyInfo.
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

/** An Ed25519 signer whose seed is 32 times `seed`, or these 32 bytes. */
export function signerOf(name: string, seed: number | Uint8Array, type: VerifierKey['type'] = ED25519): Signer {
  const bytes = typeof seed === 'number' ? Buffer.alloc(32, seed) : seed;
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, bytes]), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' }).subarray(SPKI.length);
  return { key: { name, type, publicKey: new Uint8Array(publicKey) }, sign: (message) => sign(null, message, key) };
}

export const witnessOf = (name: string, seed: number): Signer => signerOf(name, seed, ED25519_COSIGNATURE);

/** Real Ed25519: OpenSSL's. */
export const verifyEd25519: Verify = (publicKey, message, signature) => {
  const key = createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: 'der', type: 'spki' });
  return verify(null, message, key, signature);
};

/** The same with one bit changed. */
export function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed[bit >> 3]! ^= 1 << (bit & 7);
  return changed;
}
