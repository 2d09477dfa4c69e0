import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { loadKernels } from '../../../aggregation/kernels/load-kernels.ts';
import { SLOT_MODULUS } from '../../../aggregation/kernels/rings.ts';
import { type MaskOver, masksOver } from '../../../aggregation/threshold-he/masks.ts';
import { zero } from '../../../aggregation/threshold-he/polynomial.ts';
import { names } from '../../contracts/secure-sum-driver.ts';

const { slots: kernels, heRing: ring } = await loadKernels();
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
  kernels.mask(slots, masksOver(mask));
  return slots;
};
const total = (vectors: readonly Float64Array[]): number[] =>
  Array.from(vectors[0]!, (_, i) => vectors.reduce((sum, one) => (sum + one[i]!) % SLOT_MODULUS, 0));

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
    const sum = zero();
    for (const me of set) {
      const masks = masksOver(over(me, { purpose: 'shares' }));
      const [first, second] = [zero(), zero()];
      for (const share of [first, second]) ring.mask(share, masks); // one polynomial after the other
      expect(first).not.toEqual(second);
      ring.add(sum, second);
    }
    expect(sum.every((word) => word === 0)).toBe(true);
  });

  // computed once more with Python's hmac (RFC 5869) and `openssl enc -aes-128-ctr`, six bytes a slot, lowest first
  test('are what they were: tenants of different versions must draw the same', () => {
    const fixed = { secrets: new Map([['b', new Uint8Array(32).fill(7)]]), binding: new Uint8Array(32).fill(9) };
    const slots = masked(3, { me: 'a', set: ['a', 'b'], purpose: 'values', ...fixed });
    expect([...slots]).toEqual([253_050_461_029_762, 34_314_720_497_177, 247_334_140_184_488]);
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
      expect(slot >= 0 && slot < SLOT_MODULUS && Number.isInteger(slot)).toBe(true);
      bins[Math.floor((slot / SLOT_MODULUS) * 16)]!++;
    }
    expect(bins.reduce((sum, n) => sum + (n - 1250) ** 2 / 1250, 0)).toBeLessThan(60);
  });
});
