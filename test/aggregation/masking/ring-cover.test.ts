import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MaskKey, Occasion } from '../../../aggregation/masking/cover.ts';
import { laneOf } from '../../../aggregation/masking/ring.ts';
import { ringCover } from '../../../aggregation/masking/ring-cover.ts';
import type { StoredVector, TenantId } from '../../../aggregation/secure-sum.ts';
import { inMemory } from '../../../aggregation/stored-vector.ts';
import { noised } from '../../contracts/secure-sum-driver.ts';
import { wasm } from '../kernels/both.ts';

const cover = ringCover(wasm.words);
const occasionOf = (dimension: number, maxMagnitude: number): Occasion => ({
  identity: new Uint8Array(32),
  shape: { dimension, maxMagnitude, tenants: 3, threshold: 2, minCohort: 2, colluders: 0 },
});
const stored = (...vectors: readonly Uint8Array[]): Map<TenantId, StoredVector> =>
  new Map(vectors.map((bytes, i) => [`tenant-${i}`, inMemory(bytes)]));
const keyOf = (fill: number, sign: 1 | -1): MaskKey => ({ key: new Uint8Array(16).fill(fill), sign });

describe.each([32, 48, 64] as const)('in a ring of %i bits', (bits) => {
  const most = laneOf(bits);

  test('every value of the lane travels little-endian in two’s complement, in exactly its bits', async () => {
    const values = [0, 1, -1, 65_535, 65_536, -65_536, -65_537, most, -most, most - 1, 1 - most];
    const occasion = occasionOf(values.length, most);
    const vector = await cover.hide(noised(values), [], occasion);
    const reference = values.map((value) => {
      const eight = Buffer.alloc(8);
      eight.writeBigInt64LE(BigInt(value));
      return eight.subarray(0, bits / 8);
    });
    expect(Buffer.from(vector)).toEqual(Buffer.concat(reference));
    expect(vector).toHaveLength(cover.vectorBytes(occasion.shape));
    const read = await cover.sum(stored(vector), [], occasion);
    expect([...read].map((value) => value + 0)).toEqual(values); // −0 is 0
  });

  test('what is hidden adds up, once what is left of the masks is taken out', async () => {
    const summand = fc
      .maxSafeInteger()
      .map((n) => n % (Math.floor(most / 3) + 1))
      .map((n) => n + 0);
    const rows = fc.array(fc.array(summand, { minLength: 5, maxLength: 5 }), { minLength: 3, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(rows, async (values) => {
        const occasion = occasionOf(5, most);
        const masks = [[keyOf(1, 1), keyOf(2, 1)], [keyOf(1, -1), keyOf(3, -1)], [keyOf(4, 1)]];
        const hidden = await Promise.all(values.map((row, i) => cover.hide(noised(row), masks[i]!, occasion)));
        const left = [keyOf(2, -1), keyOf(3, 1), keyOf(4, -1)];
        const sum = await cover.sum(stored(...hidden), left, occasion);
        expect([...sum]).toEqual([0, 1, 2, 3, 4].map((k) => values.reduce((total, row) => total + row[k]!, 0)));
      }),
    );
  });

  test('a sum beyond the lane is none: it wraps around, or is larger than any plan allows', async () => {
    const occasion = occasionOf(1, most);
    const one = await cover.hide(noised([most]), [], occasion);
    const [sum] = await cover.sum(stored(one, one), [], occasion);
    if (bits === 64) expect(sum).toBeGreaterThan(most);
    else expect(BigInt(sum!)).toBe(BigInt.asIntN(bits, 2n * BigInt(most)));
  });

  test('a mask alone hides every value', async () => {
    const values = Array.from({ length: 7000 }, (_, i) => i - 3000);
    const occasion = occasionOf(values.length, most);
    const masked = await cover.hide(noised(values), [{ key: new Uint8Array(randomBytes(16)), sign: -1 }], occasion);
    const read = await cover.sum(stored(masked), [], occasion);
    expect(values.filter((value, i) => value === read[i])).toHaveLength(0);
  });
});
