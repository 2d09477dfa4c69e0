import fc from 'fast-check';
import { expect, test } from 'vitest';
import { clip } from '../../privacy/clip.ts';
import { customersOf, norm } from './customers.ts';

const clipped = (row: readonly number[], clipNorm: number): Float64Array => {
  const into = new Float64Array(row.length);
  clip(customersOf([row], row.length), clipNorm).read(0, into);
  return into;
};

test('a long vector keeps its direction and gets the clip norm', () => {
  expect([...clipped([30, 40], 2)]).toEqual([1.2, 1.6]);
});

test('a short vector passes unchanged, to the last bit', () => {
  expect([...clipped([0.1, -0.2, 0.3], 1)]).toEqual([0.1, -0.2, 0.3]);
  expect([...clipped([3, 4], 5)]).toEqual([3, 4]);
});

test.each([
  ['NaN', [1, NaN]],
  ['an infinity', [1, Infinity]],
  ['minus infinity', [-Infinity, 1]],
  ['infinities that would cancel', [Infinity, -Infinity]],
  ['a norm beyond the largest double', [1.7e308, 1.7e308]],
])('a vector with %s reads as zero', (_, row) => {
  expect([...clipped(row, 1)]).toEqual([0, 0]);
});

test('finite values whose squares overflow are clipped like any other', () => {
  const result = clipped([3e200, 4e200], 10);
  expect(result[0]).toBeCloseTo(6, 12);
  expect(result[1]).toBeCloseTo(8, 12);
});

test('values whose squares underflow are not mistaken for zero', () => {
  expect([...clipped([3e-200, 4e-200], 1)]).toEqual([3e-200, 4e-200]);
  expect(norm(clipped([3e-90, 4e-90], 1e-95).map((x) => x * 1e95))).toBeCloseTo(1, 12);
});

test('no vector of doubles is read longer than the clip norm, and none makes clip throw', () => {
  const row = fc.array(fc.double(), { minLength: 1, maxLength: 40 });
  const clipNorm = fc.double({ min: 1e-100, max: 1e100, noNaN: true });
  fc.assert(
    fc.property(row, clipNorm, (values, bound) => {
      const scaled = clipped(values, bound).map((x) => x / bound);
      return norm(scaled) <= 1 + 1e-12;
    }),
    { numRuns: 5000 },
  );
});

test('the bound holds just above it, where a vector is barely too long', () => {
  for (let excess = 1e-15; excess < 1; excess *= 3) {
    expect(norm(clipped([0.6 * (1 + excess), 0.8 * (1 + excess)], 1))).toBeLessThanOrEqual(1 + 1e-12);
  }
});

test('the bound holds in a million dimensions', () => {
  const waves = Float64Array.from({ length: 1e6 }, (_, i) => Math.sin(i));
  const wide = clip({ count: 1, dimension: 1e6, read: (_, into) => into.set(waves) }, 1);
  const into = new Float64Array(1e6);
  wide.read(0, into);
  expect(Math.abs(norm(into) - 1)).toBeLessThan(1e-10); // this test's own sum is the imprecise one
});

test.each([0, -1, NaN, Infinity, 1e-101])('a clip norm of %d is refused', (clipNorm) => {
  expect(() => clip(customersOf([], 1), clipNorm)).toThrow(RangeError);
});
