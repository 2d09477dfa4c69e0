import { describe, expect, test } from 'vitest';
import { condense, nearestCentre, type WeightedPoints } from '../../models/condense.ts';
import { uniformFrom } from './tables.ts';

function total({ points, weights, width }: WeightedPoints, centres: Float64Array): number {
  return weights.reduce((sum, weight, i) => {
    const c = nearestCentre(centres, points, i * width, width);
    for (let j = 0; j < width; j++) sum += weight * (points[i * width + j]! - centres[c * width + j]!) ** 2;
    return sum;
  }, 0);
}

/** The least total of any way to part the points in two. */
function bestOfAll(cells: WeightedPoints): number {
  const { points, weights, width } = cells;
  const count = weights.length;
  let best = Number.POSITIVE_INFINITY;
  for (let parting = 1; parting < 2 ** (count - 1); parting++) {
    const centres = new Float64Array(2 * width);
    for (const side of [0, 1]) {
      const members = [...weights.keys()].filter((i) => ((parting >> i) & 1) === side);
      const weight = members.reduce((sum, i) => sum + weights[i]!, 0);
      for (let j = 0; j < width; j++) {
        centres[side * width + j] = members.reduce((sum, i) => sum + weights[i]! * points[i * width + j]!, 0) / weight;
      }
    }
    best = Math.min(best, total(cells, centres));
  }
  return best;
}

describe('condense', () => {
  test('points in groups become the weighted means of the groups, the heaviest group first', () => {
    // the heaviest point is not in the heaviest group
    const points = Float64Array.of(0.9, -0.9, -0.7, -0.8);
    const weights = Float64Array.of(12, 5, 5, 10);
    const [first, second] = condense({ width: 1, points, weights }, 2);
    expect(first).toBeCloseTo(-0.8, 12);
    expect(second).toBeCloseTo(0.9, 12);
  });

  test('of two far points the one that stands for more customers gets the centre', () => {
    const points = Float64Array.of(0, 0.9, -1);
    const [, second] = condense({ width: 1, points, weights: Float64Array.of(1000, 100, 1) }, 2);
    expect(second).toBeCloseTo(0.9, 12);
  });

  test('it finds the best way to part small sets, nearly always', () => {
    const uniform = uniformFrom(29);
    const ratios = Array.from({ length: 60 }, () => {
      const points = Float64Array.from({ length: 18 }, () => 2 * uniform() - 1);
      const weights = Float64Array.from({ length: 9 }, () => 1 + 50 * uniform() ** 4);
      const cells = { width: 2, points, weights };
      return total(cells, condense(cells, 2)) / bestOfAll(cells);
    });
    expect(ratios.filter((ratio) => ratio < 1 + 1e-9).length).toBeGreaterThanOrEqual(57);
    expect(Math.max(...ratios)).toBeLessThan(1.2);
  });

  test('fewer points than clusters are refused', () => {
    expect(() => condense({ width: 1, points: Float64Array.of(1), weights: Float64Array.of(1) }, 2)).toThrow(
      RangeError,
    );
  });
});
