import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rocOf, truePositiveRateAt } from '../../../privacy/attack/roc.ts';
import { normalQuantile, normalTail } from '../../../privacy/normal.ts';
import { replayRandom } from '../replay-random.ts';
import { perfectAttack, scoresOf } from './perfect-attack.ts';

const scores = fc.array(fc.integer({ min: -5, max: 5 }), { minLength: 1, maxLength: 30 });

test('the area is the share of pairs in the right order, ties half', () => {
  fc.assert(
    fc.property(scores, scores, (present, absent) => {
      const pairs = present.flatMap((a) => absent.map((b): number => (a > b ? 1 : a === b ? 0.5 : 0)));
      const share = pairs.reduce((sum, pair) => sum + pair, 0) / pairs.length;
      expect(rocOf(Float64Array.from(present), Float64Array.from(absent)).auc).toBeCloseTo(share, 12);
    }),
  );
});

test('the curve climbs from nobody to everybody', () => {
  fc.assert(
    fc.property(scores, scores, (present, absent) => {
      const { curve } = rocOf(Float64Array.from(present), Float64Array.from(absent));
      expect(curve[0]).toEqual({ falsePositiveRate: 0, truePositiveRate: 0 });
      expect(curve.at(-1)).toEqual({ falsePositiveRate: 1, truePositiveRate: 1 });
      for (let i = 1; i < curve.length; i++) {
        expect(curve[i]!.falsePositiveRate).toBeGreaterThanOrEqual(curve[i - 1]!.falsePositiveRate);
        expect(curve[i]!.truePositiveRate).toBeGreaterThanOrEqual(curve[i - 1]!.truePositiveRate);
      }
    }),
  );
});

test('two Gaussians have the rates of the closed form', () => {
  const { scores, present } = perfectAttack(100_000, 1, replayRandom('roc'));
  const roc = rocOf(scoresOf(scores, present, true), scoresOf(scores, present, false));
  expect(Math.abs(roc.auc - normalTail(-1 / Math.SQRT2))).toBeLessThan(0.006);
  for (const rate of [0.001, 0.01, 0.1])
    expect(Math.abs(truePositiveRateAt(roc, rate) - normalTail(-normalQuantile(rate) - 1))).toBeLessThan(0.012);
});

test('a rate that no threshold meets counts those above every absent score', () => {
  const roc = rocOf(Float64Array.of(9, 8, 3, 1), Float64Array.of(5, 2, 0));
  expect(truePositiveRateAt(roc, 0.001)).toBe(0.5);
  expect(truePositiveRateAt(roc, 1 / 3)).toBe(0.75);
  expect(truePositiveRateAt(roc, 0.33)).toBe(0.5);
  expect(truePositiveRateAt(roc, 1)).toBe(1);
});

test('a side without scores is refused', () => {
  expect(() => rocOf(new Float64Array(0), Float64Array.of(1))).toThrow(RangeError);
});
