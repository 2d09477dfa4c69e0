import { describe, expect, test } from 'vitest';
import { largestInLane } from '../../../aggregation/kernels/lanes.ts';
import { layoutOf } from '../../../aggregation/threshold-he/layout.ts';
import { thresholdHe } from '../../../aggregation/threshold-he/protocol.ts';

const shape = (dimension: number, maxMagnitude: number) => ({
  dimension,
  maxMagnitude,
  tenants: 5,
  threshold: 4,
  minCohort: 4,
  colluders: 1,
});

describe('a vector lies in', () => {
  test.each([
    [1, 100, 24, 1, 1],
    [8191, 100, 24, 4096, 1],
    [8192, 2 ** 23 - 1, 24, 4096, 1],
    [8193, 2 ** 23 - 1, 24, 4097, 2],
    [4096, 2 ** 23, 48, 4096, 1],
    [4097, 2 ** 23, 48, 4097, 2],
    [1_000_000, 2 ** 23 - 1, 24, 500_000, 123],
    [1_000_000, 2 ** 40, 48, 1_000_000, 245],
  ] as const)(
    '%i coordinates, sums up to %i: lanes of %i bits in %i slots, %i polynomials',
    (dimension, most, bits, slots, polynomials) => {
      expect(layoutOf(shape(dimension, most))).toEqual({
        bits,
        perPolynomial: bits === 24 ? 8192 : 4096,
        slots,
        polynomials,
        bytes: 53_760 * polynomials,
      });
    },
  );
});

test('what is sent up: 6.6 bytes a value in two lanes, 13.2 in one; an opener’s share is as long', () => {
  for (const [most, perValue] of [
    [2 ** 23 - 1, 6.62],
    [2 ** 23, 13.2],
  ] as const) {
    const million = shape(1_000_000, most);
    for (const stage of ['contribute', 'share']) {
      expect(thresholdHe.vectorBytes(stage, million) / 1e6).toBeLessThan(perValue);
    }
    expect(thresholdHe.bytesPerRound(million)).toBe(2 * thresholdHe.vectorBytes('share', million) + 64);
    expect(thresholdHe.vectorBytes('ready', million)).toBe(0);
  }
});

test('the budget says which lane it is, and how far it reaches', () => {
  const said = (most: number) => thresholdHe.budget(shape(1, most));
  expect(said(1000).explanation).toMatch(/two in a slot, up to ±8388607: 6.6 bytes a value/);
  expect(said(2 ** 23).explanation).toMatch(/a slot of 48 bits, up to ±140737488347136: 13.1 bytes a value/);
  expect(said(2 ** 47).explanation).toMatch(/do not fit .* coarser grid/);
  for (const bits of [24, 48] as const) {
    const { needed, available } = said(largestInLane(bits));
    expect(needed).toBeLessThanOrEqual(available);
    expect(available).toBeCloseTo(bits, 6);
  }
  expect(said(largestInLane(48) + 1).needed).toBeGreaterThan(said(largestInLane(48) + 1).available);
});
