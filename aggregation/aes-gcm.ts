import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';

/**
 * AES-256-GCM (NIST SP 800-38D): what is encrypted cannot be read without the key, and neither it nor the text associated
 * with it can be changed unnoticed. Nonces are 96 random bits: at most 2^32 texts for one key (§8.3).
 */
const CIPHER = 'aes-256-gcm';
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;

/**
 * @param key - 256 bits
 * @param nonce - `NONCE_BYTES`, never twice with one key: a second text under it would give both away
 * @param associated - not hidden, and part of what must be the same when it is decrypted
 * @returns as long as the plaintext, then the tag of `TAG_BYTES`
 */
export function encrypt(key: KeyObject, nonce: Uint8Array, plaintext: Uint8Array, associated: Uint8Array): Uint8Array {
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(associated);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** @returns the plaintext; undefined when key, nonce, associated text or a bit of it is another: which one cannot be told */
export function decrypt(
  key: KeyObject,
  nonce: Uint8Array,
  encrypted: Uint8Array,
  associated: Uint8Array,
): Uint8Array | undefined {
  if (nonce.length !== NONCE_BYTES || encrypted.length < TAG_BYTES) return undefined;
  const end = encrypted.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(associated);
  decipher.setAuthTag(encrypted.subarray(end));
  const plaintext = decipher.update(encrypted.subarray(0, end));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return plaintext;
}
