import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { keyStream, type MaskOver, maskShares, maskValues } from '../../../aggregation/threshold-he/masks.ts';
import { PLAIN_MODULUS } from '../../../aggregation/threshold-he/parameters.ts';
import { addInto, noResidues } from '../../../aggregation/threshold-he/residues.ts';
import { names } from '../../contracts/secure-sum-driver.ts';

const set = names(4);
const shared = new Map(
  set.flatMap((a, i) => set.slice(i + 1).map((b) => [`${a} ${b}`, new Uint8Array(randomBytes(32))])),
);
const secretsOf = (me: string) =>
  new Map(set.filter((name) => name !== me).map((name) => [name, shared.get([me, name].sort().join(' '))!]));
const binding = new Uint8Array(randomBytes(32));
const over = (me: string, changed: Partial<MaskOver> = {}): MaskOver => ({
  me,
  set,
  secrets: secretsOf(me),
  purpose: 'values',
  binding,
  ...changed,
});
const masked = (length: number, mask: MaskOver): Float64Array => {
  const slots = new Float64Array(length);
  maskValues(slots, mask);
  return slots;
};
const total = (vectors: readonly Float64Array[]): number[] =>
  Array.from(vectors[0]!, (_, i) => vectors.reduce((sum, one) => (sum + one[i]!) % PLAIN_MODULUS, 0));

describe('masks', () => {
  test('cancel over exactly their set', () => {
    const vectors = set.map((me) => masked(5001, over(me)));
    expect(total(vectors).every((value) => value === 0)).toBe(true);
    expect(total(vectors.slice(1)).filter((value) => value === 0)).toHaveLength(0);
  });

  test('cancel in the order they are heard, whatever it is', () => {
    const vectors = set.map((me, i) => masked(9, over(me, { set: i % 2 ? [...set].reverse() : set })));
    expect(total(vectors)).toEqual(new Array(9).fill(0));
  });

  test('cancel on opening shares as well', () => {
    const sum = noResidues();
    for (const me of set) {
      const shares = [noResidues(), noResidues()];
      maskShares(shares, over(me, { purpose: 'shares' }));
      expect(shares[0]).not.toEqual(shares[1]);
      addInto(sum, shares[1]!);
    }
    expect(sum.every((word) => word === 0)).toBe(true);
  });

  test('do not cancel when one was told another set or occasion', () => {
    const told = [{ set: set.slice(0, 3) }, { binding: new Uint8Array(32) }, { purpose: 'shares' as const }];
    for (const other of told) {
      const vectors = set.map((me, i) => masked(50, over(me, i === 0 ? other : {})));
      expect(total(vectors).filter((value) => value === 0)).toHaveLength(0);
    }
  });

  test('keep values in [0, t) and make them uniform', () => {
    const slots = masked(20_000, over(set[1]!));
    const bins = new Array<number>(16).fill(0);
    for (const slot of slots) {
      expect(slot >= 0 && slot < PLAIN_MODULUS && Number.isInteger(slot)).toBe(true);
      bins[Math.floor((slot / PLAIN_MODULUS) * 16)]!++;
    }
    expect(bins.reduce((sum, n) => sum + (n - 1250) ** 2 / 1250, 0)).toBeLessThan(60);
  });
});

test('a key stream is AES-128 in counter mode (NIST SP 800-38A, F.5.1 key; FIPS 197 block)', () => {
  const words = new Uint32Array(4);
  keyStream(Buffer.from('00000000000000000000000000000000', 'hex')).fill(words);
  // AES-128 of the zero block under the zero key: NIST AESAVS, GFSbox/KeySbox base case
  expect(Buffer.from(words.buffer).toString('hex')).toBe('66e94bd4ef8a2c3b884cfa59ca342b2e');
});

test('a key stream goes on where it stopped', () => {
  const key = randomBytes(16);
  const whole = new Uint32Array(40_000);
  keyStream(key).fill(whole);
  const parts = new Uint32Array(40_000);
  const stream = keyStream(key);
  for (let from = 0, size = 1; from < parts.length; from += size, size = size * 3 + 1)
    stream.fill(parts.subarray(from, from + size));
  expect(parts).toEqual(whole);
});
