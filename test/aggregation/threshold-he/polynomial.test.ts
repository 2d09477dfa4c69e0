import { expect, test } from 'vitest';
import { loadKernels } from '../../../aggregation/kernels/load-kernels.ts';
import { DEGREE, HE_RING } from '../../../aggregation/kernels/rings.ts';
import { constant, integer, zero } from '../../../aggregation/threshold-he/polynomial.ts';

const { heRing: ring } = await loadKernels();

test('a constant polynomial in NTT form is that constant everywhere', () => {
  const coefficients = zero();
  coefficients.set([7, 1]);
  coefficients.set([9, 2], 2 * DEGREE);
  ring.toNtt(coefficients);
  expect(constant([7n + (1n << 32n), 9n + (2n << 32n)])).toEqual(coefficients);
});

test('an integer is the same modulo both primes, also a negative one and one above them', () => {
  const [q0, q1] = HE_RING.primes.map(({ value }) => value) as [bigint, bigint];
  expect(integer(-1n, HE_RING)).toEqual(constant([q0 - 1n, q1 - 1n]));
  expect(integer(q0, HE_RING)).toEqual(constant([0n, q0]));
  expect(integer(q0 * q1 + 5n, HE_RING)).toEqual(constant([5n, 5n]));
});
