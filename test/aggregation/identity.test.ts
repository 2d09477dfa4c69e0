import { ed25519 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createIdentity, fingerprint, isSignedBy, readIdentity } from '../../aggregation/identity.ts';
import { vectors } from '../privacy/vectors.ts';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

/** PKCS #8 (RFC 8410 §7) around a secret of 32 bytes. */
const pemOf = (secret: string): string => {
  const der = Buffer.from(`302e020100300506032b657004220420${secret}`, 'hex').toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`;
};

interface Published {
  readonly source: string;
  readonly vectors: readonly Record<'name' | 'secret' | 'publicKey' | 'message' | 'signature', string>[];
}
const published = vectors<Published>('ed25519-rfc8032');

describe.each(published.vectors)(`$name of ${published.source}`, ({ secret, publicKey, message, signature }) => {
  const identity = readIdentity(pemOf(secret));
  test('has the public key of the RFC', () => expect(Buffer.from(identity.publicKey).toString('hex')).toBe(publicKey));
  test('signs as in the RFC', () => expect(Buffer.from(identity.sign(bytes(message))).toString('hex')).toBe(signature));
  test('is verified', () => expect(isSignedBy(bytes(publicKey), bytes(message), bytes(signature))).toBe(true));
});

describe('a signature', () => {
  test('is one that noble accepts, and noble’s is accepted here', () => {
    const identity = createIdentity();
    const secret = ed25519.utils.randomSecretKey();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (message) => {
        expect(ed25519.verify(identity.sign(message), message, identity.publicKey)).toBe(true);
        expect(isSignedBy(ed25519.getPublicKey(secret), message, ed25519.sign(message, secret))).toBe(true);
      }),
      { numRuns: 20 },
    );
  });
  test('does not verify when a bit of message, signature or key is another', () => {
    const identity = createIdentity();
    const message = Buffer.from('what was said');
    const signature = identity.sign(message);
    const flipped = (of: Uint8Array, bit: number): Uint8Array => {
      const copy = Uint8Array.from(of);
      copy[bit >> 3]! ^= 1 << (bit & 7);
      return copy;
    };
    for (let bit = 0; bit < 8 * message.length; bit += 3)
      expect(isSignedBy(identity.publicKey, flipped(message, bit), signature)).toBe(false);
    for (let bit = 0; bit < 512; bit += 7)
      expect(isSignedBy(identity.publicKey, message, flipped(signature, bit))).toBe(false);
    for (let bit = 0; bit < 256; bit += 7)
      expect(isSignedBy(flipped(identity.publicKey, bit), message, signature)).toBe(false);
    expect(isSignedBy(identity.publicKey, message, signature)).toBe(true);
  });
  // RFC 8032 §5.1.7: S is in [0, L), or whoever sees a signature makes a second one of it
  test('does not verify with S + L in place of S', () => {
    const identity = createIdentity();
    const message = Buffer.from('what was said');
    const signature = identity.sign(message);
    const raised = littleEndian(ed25519.Point.Fn.ORDER + bigOf(signature.subarray(32)));
    expect(isSignedBy(identity.publicKey, message, Buffer.concat([signature.subarray(0, 32), raised]))).toBe(false);
    expect(isSignedBy(identity.publicKey, message, signature)).toBe(true);
  });
  test('made of hostile bytes is false, never an exception', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40 }),
        fc.uint8Array({ maxLength: 70 }),
        fc.uint8Array({ maxLength: 10 }),
        (key, signature, message) => {
          expect(isSignedBy(key, message, signature)).toBe(false);
        },
      ),
    );
    expect(isSignedBy(new Uint8Array(32).fill(255), new Uint8Array(1), new Uint8Array(64))).toBe(false);
  });
});

const bigOf = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
const littleEndian = (value: bigint): Uint8Array => Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse();

describe('a key file', () => {
  test('gives back the same identity', () => {
    const identity = createIdentity();
    const again = readIdentity(identity.exportPem());
    expect(again.publicKey).toEqual(identity.publicKey);
    expect(isSignedBy(identity.publicKey, bytes('00'), again.sign(bytes('00')))).toBe(true);
  });
  test('of another kind of key is refused by name', async () => {
    const { generateKeyPairSync } = await import('node:crypto');
    const pem = generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(() => readIdentity(pem)).toThrow('an Ed25519 key is needed, got x25519');
    expect(() => readIdentity('no key at all')).toThrow();
  });
});

describe('a fingerprint', () => {
  test('is ten groups of four hexadecimal digits, always the same for one key', () => {
    const key = bytes('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
    expect(fingerprint(key)).toBe('d6ad-a149-9459-a13d-70c9-d5ee-7e09-567a-f10f-fabf');
    expect(fingerprint(Uint8Array.from(key))).toBe(fingerprint(key));
  });
  test('differs from key to key', () => {
    expect(fingerprint(createIdentity().publicKey)).not.toBe(fingerprint(createIdentity().publicKey));
  });
});
