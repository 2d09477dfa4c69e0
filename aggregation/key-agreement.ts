import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';

/**
 * Secrets between two tenants that the coordinator between them does not learn: X25519 (RFC 7748) for the
 * agreement, HKDF-SHA256 (RFC 5869) for the keys, AES-256-GCM (NIST SP 800-38D) for what is sent.
 *
 * Who owns a public key is not decided here: it is said in a signed statement (`transcript.ts`).
 */
export interface AgreementKey {
  /** 32 bytes, RFC 7748 §5 */
  readonly publicKey: Uint8Array;
  /** The 32 bytes shared with the owner of `peer`; undefined when `peer` is no point that may be used. */
  agree(peer: Uint8Array): Uint8Array | undefined;
}

/** A key pair nobody has seen. It lives as long as the returned object. */
export function ephemeralKey(): AgreementKey {
  return withKeys(generateKeyPairSync('x25519').privateKey);
}

/** The key pair of these 32 secret bytes. */
export function agreementKey(secret: Uint8Array): AgreementKey {
  const der = Buffer.concat([PRIVATE_PREFIX, secret]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  return withKeys(key);
}

/** HKDF-SHA256, both steps (RFC 5869 §2). */
export function hkdf(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, info, length));
}

/**
 * nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes). The nonce is random: a key here seals a handful of messages.
 * @param associated - what the recipient must agree on for the message to open; not sent
 */
export function sealWith(key: Uint8Array, message: Uint8Array, associated: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(associated);
  return Buffer.concat([nonce, cipher.update(message), cipher.final(), cipher.getAuthTag()]);
}

/** What `sealWith` sealed; undefined when key, message or `associated` differ in any bit. */
export function unsealWith(key: Uint8Array, sealed: Uint8Array, associated: Uint8Array): Uint8Array | undefined {
  if (sealed.length < SEAL_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(associated).setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const message = decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES));
  try {
    decipher.final();
    return message;
  } catch {
    message.fill(0); // released only when the tag holds
    return undefined;
  }
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** How much longer a sealed message is than the message. */
export const SEAL_BYTES: number = NONCE_BYTES + TAG_BYTES;

// RFC 8410 §7 and §4: what surrounds 32 key bytes in PKCS #8 and SubjectPublicKeyInfo
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
const PUBLIC_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');

function withKeys(privateKey: KeyObject): AgreementKey {
  const der = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return {
    publicKey: new Uint8Array(der.subarray(PUBLIC_PREFIX.length)),
    agree(peer) {
      if (peer.length !== 32) return undefined;
      const spki = Buffer.concat([PUBLIC_PREFIX, peer]);
      try {
        const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
        return diffieHellman({ privateKey, publicKey });
      } catch {
        return undefined; // low order: the result would be all zero (RFC 7748 §6.1), OpenSSL refuses
      }
    },
  };
}
