import { expect, test } from 'vitest';
import { secureRandom } from '../../privacy/random.ts';

test('words never repeat, across requests smaller and larger than the pool', () => {
  const random = secureRandom();
  const seen = new Set<bigint>();
  let pairs = 0;
  for (const length of [2, 30_000, 6, 70_000, 4, 32_768, 32_768]) {
    const words = new Uint32Array(length);
    random.fill(words);
    for (let i = 0; i < length; i += 2) seen.add((BigInt(words[i]!) << 32n) | BigInt(words[i + 1]!));
    pairs += length / 2;
  }
  expect(seen.size).toBe(pairs);
  expect(seen.has(0n)).toBe(false);
});

test('two sources share nothing', () => {
  const [a, b] = [new Uint32Array(64), new Uint32Array(64)];
  secureRandom().fill(a);
  secureRandom().fill(b);
  expect(a).not.toEqual(b);
});

test('every bit of a word is set half of the time', () => {
  const words = new Uint32Array(1 << 16);
  secureRandom().fill(words);
  for (let bit = 0; bit < 32; bit++) {
    const ones = words.reduce((count, word) => count + ((word >>> bit) & 1), 0);
    expect(Math.abs(ones - words.length / 2) / Math.sqrt(words.length / 4)).toBeLessThan(6);
  }
});

test('a request of no words is answered', () => {
  expect(() => secureRandom().fill(new Uint32Array(0))).not.toThrow();
});

test('a production source says that it is secure', () => {
  expect(secureRandom().kind).toBe('secure');
});
