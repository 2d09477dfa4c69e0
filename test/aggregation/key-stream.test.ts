import { createCipheriv } from 'node:crypto';
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
const PLAINTEXT = hex('6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51');

test.each([
  ['AES-128', '2b7e151628aed2a6abf7158809cf4f3c', '874d6191b620e3261bef6864990db6ce 9806f66b7970fdff8617187bb9fffdff'],
  [
    'AES-256',
    '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4',
    '601ec313775789a5b7a7f504bbf3d228 f443e3ca4d62b59aca84e990cacaf5c5',
  ],
])('is %s in counter mode, as NIST computes it', (_, key, ciphertext) => {
  const expected = hex(ciphertext).map((byte, i) => byte ^ PLAINTEXT[i]!);
  expect(taken(keyStream(hex(key), START), 32)).toEqual(expected);
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
