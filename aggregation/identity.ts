import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';

/**
 * Who someone is: an Ed25519 key pair (RFC 8032), and a fingerprint that two people can compare aloud.
 *
 * node:crypto does the arithmetic (OpenSSL, constant time); @noble/curves is the oracle in the tests.
 */
export interface Identity {
  /** 32 bytes */
  readonly publicKey: Uint8Array;
  /** @returns 64 bytes, RFC 8032 §5.1.6 */
  sign(message: Uint8Array): Uint8Array;
  /** PKCS #8 PEM. The only way the secret leaves this object; for the key file alone. */
  exportPem(): string;
}

export function createIdentity(): Identity {
  return identityFrom(generateKeyPairSync('ed25519').privateKey);
}

/** @throws Error when `pem` is not an Ed25519 private key */
export function readIdentity(pem: string): Identity {
  const key = createPrivateKey(pem);
  if (key.asymmetricKeyType !== 'ed25519')
    throw new Error(`an Ed25519 key is needed, got ${key.asymmetricKeyType ?? 'no key'}`);
  return identityFrom(key);
}

function identityFrom(key: KeyObject): Identity {
  return {
    publicKey: rawPublicKey(createPublicKey(key)),
    sign: (message) => sign(null, message, key),
    exportPem: () => key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

// RFC 8410 §4: SubjectPublicKeyInfo of an Ed25519 key is these 12 bytes and the 32 of the key.
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

function rawPublicKey(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ type: 'spki', format: 'der' }).subarray(SPKI_PREFIX.length));
}

const imported = new Map<string, KeyObject>();

/** Is `signature` by the holder of `publicKey` (32 bytes) over exactly `message`? Never throws for hostile bytes. */
export function isSignedBy(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  try {
    return verify(null, message, importPublicKey(publicKey), signature);
  } catch {
    return false;
  }
}

/** Importing costs more than verifying, and a roster is short: keep what was imported. */
function importPublicKey(raw: Uint8Array): KeyObject {
  const name = Buffer.from(raw).toString('hex');
  let key = imported.get(name);
  if (key === undefined) {
    key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' });
    if (imported.size > 4096) imported.clear();
    imported.set(name, key);
  }
  return key;
}

/**
 * What people compare out of band: the first 160 bits of SHA-256 of the key, ten groups of four hex digits.
 * Finding another key with the same fingerprint costs 2^160 tries.
 */
export function fingerprint(publicKey: Uint8Array): string {
  const digest = createHash('sha256').update('parley/identity/v1\n').update(publicKey).digest('hex');
  return digest.slice(0, 40).match(/.{4}/g)!.join('-');
}
