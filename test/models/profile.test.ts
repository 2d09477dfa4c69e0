import { describe, expect, test } from 'vitest';
import type { KMeansShape } from '../../models/k-means.ts';
import { profile } from '../../models/profile.ts';
import { gaussianFrom, schema } from './tables.ts';

const shape: KMeansShape = { clusters: 3, width: 4, labelled: true };
const block = 6;

/** 12 blocks would come from the plan; those past the clusters are noise alone. */
function sumsOf(...blocks: number[][]): Float64Array {
  const sums = new Float64Array(18 * block).fill(1000, 3 * block);
  for (const [c, values] of blocks.entries()) sums.set(values, c * block);
  return sums;
}

describe('profile', () => {
  const sums = sumsOf([400, -200, 100, 300, 80, 120], [99, 1, 1, 1, 1, 1], [250, 0, 0, 50, 200, 25]);

  test('it tells sizes, means in the units of the column, shares, and the rate of positives', () => {
    const { segments, tooSmall } = profile(sums, 0, schema, shape);
    expect(segments.map(({ segment, customers }) => [segment, customers.value])).toEqual([
      [0, 400],
      [2, 250],
    ]);
    expect(tooSmall).toBe(1);
    expect(segments[0]!.positiveRate).toEqual({ value: 0.3, plusMinus: 0 });
    expect(segments[0]!.features.map(({ name, mean }) => [name, mean.value])).toEqual([
      ['months', 20],
      ['bill', 72.5],
      ['contract=month', 0.75],
      ['contract=year', 0.2],
    ]);
  });

  test('without a label there is no rate of positives', () => {
    const { label: _, ...unlabelled } = schema;
    const unlabelledSums = new Float64Array(3 * 5).fill(300);
    const { segments } = profile(unlabelledSums, 1, unlabelled, { ...shape, labelled: false });
    expect(segments[0]).not.toHaveProperty('positiveRate');
    expect(segments[0]!.features).toHaveLength(4);
  });

  test('means stay within their bounds, however loud the noise', () => {
    const { segments } = profile(sumsOf([100, 900, -900, 900, -900, 900]), 50, schema, shape);
    expect(segments[0]!.features.map(({ mean }) => mean.value)).toEqual([80, 10, 1, 0]);
    expect(segments[0]!.positiveRate!.value).toBe(1);
  });

  test('the true value lies within plus-minus in about 95 of 100 runs', () => {
    const gaussian = gaussianFrom(23);
    const inside = { customers: 0, months: 0, rate: 0 };
    for (let run = 0; run < 400; run++) {
      const { segments } = profile(
        sums.map((value) => value + 8 * gaussian()),
        8,
        schema,
        shape,
      );
      const [first] = segments;
      const holds = ({ value, plusMinus }: { value: number; plusMinus: number }, truth: number) =>
        Number(Math.abs(value - truth) <= plusMinus);
      inside.customers += holds(first!.customers, 400);
      inside.months += holds(first!.features[0]!.mean, 20);
      inside.rate += holds(first!.positiveRate!, 0.3);
    }
    for (const count of Object.values(inside)) {
      expect(count / 400).toBeGreaterThan(0.92);
      expect(count / 400).toBeLessThan(0.98);
    }
  });
});
