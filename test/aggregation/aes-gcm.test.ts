import { createSecretKey, randomBytes } from 'node:crypto';
import { gcm } from '@noble/ciphers/aes.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decrypt, encrypt, NONCE_BYTES, TAG_BYTES } from '../../aggregation/aes-gcm.ts';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

describe.each([
  {
    source: 'NIST CAVP gcmEncryptExtIV256.rsp, [PTlen = 128, AADlen = 128, Taglen = 128], Count 0',
    key: '92e11dcdaa866f5ce790fd24501f92509aacf4cb8b1339d50c9c1240935dd08b',
    nonce: 'ac93a1a6145299bde902f21a',
    plain: '2d71bcfa914e4ac045b2aa60955fad24',
    associated: '1e0889016f67601c8ebea4943bc23ad6',
    encrypted: '8995ae2e6df3dbf96fac7b7137bae67feca5aa77d51d4a0a14d9c51e1da474ab',
  },
  {
    source: 'NIST CAVP gcmEncryptExtIV256.rsp, [PTlen = 0, AADlen = 160, Taglen = 128], Count 0',
    key: '886cff5f3e6b8d0e1ad0a38fcdb26de97e8acbe79f6bed66959a598fa5047d65',
    nonce: '3a8efa1cd74bbab5448f9945',
    plain: '',
    associated: '519fee519d25c7a304d6c6aa1897ee1eb8c59655',
    encrypted: 'f6d47505ec96c98a42dc3ae719877b87',
  },
  {
    source: 'McGrew and Viega, The Galois/Counter Mode of Operation, test case 16: no whole number of blocks',
    key: 'feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308',
    nonce: 'cafebabefacedbaddecaf888',
    plain:
      'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
    associated: 'feedfacedeadbeeffeedfacedeadbeefabaddad2',
    encrypted:
      '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b',
  },
])('$source', ({ key, nonce, plain, associated, encrypted }) => {
  const secret = createSecretKey(bytes(key));
  test('is encrypted as published', () =>
    expect(Buffer.from(encrypt(secret, bytes(nonce), bytes(plain), bytes(associated))).toString('hex')).toBe(
      encrypted,
    ));
  test('is decrypted', () =>
    expect(Buffer.from(decrypt(secret, bytes(nonce), bytes(encrypted), bytes(associated))!).toString('hex')).toBe(
      plain,
    ));
});

describe('what is encrypted', () => {
  const key = createSecretKey(randomBytes(32));
  const text = fc.uint8Array({ maxLength: 100 });

  test('is what noble encrypts, and decrypts', () => {
    fc.assert(
      fc.property(text, text, (plain, associated) => {
        const [secret, nonce] = [randomBytes(32), randomBytes(NONCE_BYTES)];
        const encrypted = encrypt(createSecretKey(secret), nonce, plain, associated);
        const noble = gcm(secret, nonce, associated);
        expect(Buffer.from(encrypted)).toEqual(Buffer.from(noble.encrypt(plain)));
        expect(Buffer.from(noble.decrypt(encrypted))).toEqual(Buffer.from(plain));
      }),
      { numRuns: 50 },
    );
  });

  test('is decrypted to itself, and is longer by the tag', () => {
    fc.assert(
      fc.property(text, text, (plain, associated) => {
        const nonce = randomBytes(NONCE_BYTES);
        const encrypted = encrypt(key, nonce, plain, associated);
        expect(encrypted.length).toBe(plain.length + TAG_BYTES);
        expect(Buffer.from(decrypt(key, nonce, encrypted, associated)!)).toEqual(Buffer.from(plain));
      }),
    );
  });

  test('is nothing any more when one bit of it, of the nonce or of what is associated is another', () => {
    fc.assert(
      fc.property(text, fc.constantFrom(0, 1, 2), fc.nat(), (plain, part, at) => {
        const [random, associated] = [randomBytes(NONCE_BYTES), Buffer.from('row 7')];
        const parts: Uint8Array[] = [random, encrypt(key, random, plain, associated), associated];
        const changed = Uint8Array.from(parts[part]!);
        changed[at % changed.length]! ^= 1 << (at % 8);
        const [nonce, encrypted, rest] = parts.with(part, changed);
        expect(decrypt(key, nonce!, encrypted!, rest!)).toBeUndefined();
      }),
    );
  });

  test('is nothing under another key, or when it was cut', () => {
    const nonce = randomBytes(NONCE_BYTES);
    const encrypted = encrypt(key, nonce, Buffer.from('a budget'), Buffer.from('x'));
    expect(decrypt(createSecretKey(randomBytes(32)), nonce, encrypted, Buffer.from('x'))).toBeUndefined();
    for (let length = 0; length < encrypted.length; length++)
      expect(decrypt(key, nonce, encrypted.subarray(0, length), Buffer.from('x'))).toBeUndefined();
    expect(decrypt(key, nonce.subarray(1), encrypted, Buffer.from('x'))).toBeUndefined();
  });
});
