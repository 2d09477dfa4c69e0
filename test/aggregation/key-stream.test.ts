import { createCipheriv, randomBytes } from 'node:crypto';
import { ctr } from '@noble/ciphers/aes.js';
import { expect, test } from 'vitest';
import { keyStream } from '../../aggregation/key-stream.ts';

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const taken = (stream: ReturnType<typeof keyStream>, length: number): Uint8Array => {
  const bytes = new Uint8Array(length).fill(0xaa);
  stream.fill(bytes);
  return bytes;
};

/** NIST SP 800-38A, F.5.1 and F.5.5: the stream is ciphertext ⊕ plaintext. */
const START = hex('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff');
const PLAINTEXT = hex(
  '6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51 30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710',
);

test.each([
  [
    'AES-128',
    '2b7e151628aed2a6abf7158809cf4f3c',
    '874d6191b620e3261bef6864990db6ce 9806f66b7970fdff8617187bb9fffdff 5ae4df3edbd5d35e5b4f09020db03eab 1e031dda2fbe03d1792170a0f3009cee',
  ],
  [
    'AES-256',
    '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4',
    '601ec313775789a5b7a7f504bbf3d228 f443e3ca4d62b59aca84e990cacaf5c5 2b0930daa23de94ce87017ba2d84988d dfc9c58db67aada613c2dd08457941a6',
  ],
])('is %s in counter mode, as NIST computes it', (_, key, ciphertext) => {
  const expected = hex(ciphertext).map((byte, i) => byte ^ PLAINTEXT[i]!);
  expect(taken(keyStream(hex(key), START), 64)).toEqual(expected);
});

test('is what noble computes, also where the counter carries into every byte', () => {
  for (const length of [16, 32])
    for (const start of [randomBytes(16), Buffer.alloc(16, 0xff), Buffer.from(`00${'ff'.repeat(15)}`, 'hex')]) {
      const key = randomBytes(length);
      expect(taken(keyStream(key, start), 1000)).toEqual(ctr(key, start).encrypt(new Uint8Array(1000)));
    }
});

test('gives the same bytes however they are asked for, from counter 0 on', () => {
  const key = hex('2b7e151628aed2a6abf7158809cf4f3c');
  const length = 150_001; // three chunks, and not whole blocks
  const expected = createCipheriv('aes-128-ctr', key, new Uint8Array(16)).update(new Uint8Array(length));
  expect(Buffer.from(taken(keyStream(key), length)).equals(expected)).toBe(true);
  const stream = keyStream(key);
  const pieces = [1, 15, 16, 17, 65_536, 0, length - 65_585].map((size) => taken(stream, size));
  expect(Buffer.concat(pieces).equals(expected)).toBe(true);
});

test('gives its memory back as it goes', () => {
  const stream = keyStream(hex('2b7e151628aed2a6abf7158809cf4f3c'));
  const bytes = new Uint8Array(24_576);
  const held = () => process.memoryUsage().arrayBuffers;
  const before = held();
  for (let i = 0; i < 1000; i++) stream.fill(bytes);
  expect(held() - before).toBeLessThan(2 ** 20);
});

test('refuses a key that is none', () => {
  for (const length of [0, 15, 20, 33]) expect(() => keyStream(new Uint8Array(length))).toThrow(/cipher/);
});
