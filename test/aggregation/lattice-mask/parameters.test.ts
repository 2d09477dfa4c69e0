import { expect, test } from 'vitest';
import { LARGEST_ERROR_SUM } from '../../../aggregation/kernels/lanes.ts';
import { MASK_RING } from '../../../aggregation/kernels/rings.ts';
import {
  KEY_BYTES,
  LARGEST_IN_KEY,
  lanesFor,
  POLYNOMIAL_BYTES,
  polynomials,
} from '../../../aggregation/lattice-mask/parameters.ts';

test('lanes are the narrowest that hold a sum, to the last unit', () => {
  const most = (bits: number) => 2 ** (bits - 1) - 1;
  expect([0, 1, most(23)].map(lanesFor)).toEqual([23, 23, 23]);
  expect([most(23) + 1, most(46)].map(lanesFor)).toEqual([46, 46]);
  expect(lanesFor(most(46) + 1)).toBeUndefined();
});

test('a million values take 3.36 or 6.68 bytes each, and a key 16 KiB', () => {
  expect([23, 46].map((bits) => polynomials(bits as 23 | 46, 1_000_000))).toEqual([62, 123]);
  expect([1, 16_384, 16_385].map((length) => polynomials(23, length))).toEqual([1, 1, 2]);
  expect([1, 8192, 8193].map((length) => polynomials(46, length))).toEqual([1, 1, 2]);
  expect([POLYNOMIAL_BYTES, KEY_BYTES]).toEqual([54_272, 16_384]);
});

test('q is what degree 4096 allows for 128 bits, and holds the errors of 194 tenants above every sum', () => {
  const bits = MASK_RING.primes.reduce((sum, { value }) => sum + Math.log2(Number(value)), 0);
  expect(bits).toBeLessThan(106);
  expect(194 * LARGEST_IN_KEY).toBeLessThanOrEqual(LARGEST_ERROR_SUM);
});
