import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CustomerVectors } from '../../models/customer-vectors.ts';
import { type Encoded, groupRows } from '../../models/encoded.ts';
import {
  assignments,
  centresOf,
  clusterVectors,
  countFloor,
  customerNorm,
  isStart,
  type KMeansShape,
  nextCentres,
} from '../../models/k-means.ts';
import { initialParameters } from '../../models/model.ts';
import { spread } from '../../models/spread.ts';
import { encodedOf, gaussianFrom, numbers, uniformFrom } from './tables.ts';

const shape: KMeansShape = { clusters: 2, width: 2, labelled: true };
const cells = 12;
const block = 4;

function sumOf(vectors: CustomerVectors): Float64Array {
  const sum = new Float64Array(vectors.dimension);
  const into = new Float64Array(vectors.dimension);
  for (let i = 0; i < vectors.count; i++) {
    vectors.read(i, into);
    for (let j = 0; j < sum.length; j++) sum[j]! += into[j]!;
  }
  return sum;
}

describe('spread', () => {
  test('points lie inside the box and none coincide', () => {
    const points = spread(384, 3);
    expect(points.every((value) => value >= -1 && value <= 1)).toBe(true);
    expect(new Set(Array.from({ length: 384 }, (_, i) => points.subarray(3 * i, 3 * i + 3).join())).size).toBe(384);
  });

  test('they fill the box evenly: each octant holds its share', () => {
    const points = spread(800, 3);
    const octants = new Array<number>(8).fill(0);
    for (let i = 0; i < 800; i++) {
      octants[[0, 1, 2].reduce((octant, j) => octant + (points[3 * i + j]! > 0 ? 2 ** j : 0), 0)]! += 1;
    }
    for (const count of octants) expect(Math.abs(count - 100)).toBeLessThan(15);
  });

  test('more points do not move the first', () => {
    expect([...spread(9, 4).subarray(0, 12)]).toEqual([...spread(3, 4)]);
  });

  test('the coordinates are fractions of multiples of roots of primes', () => {
    expect([...spread(2, 2)]).toEqual([
      2 * (Math.SQRT2 - 1) - 1,
      2 * (Math.sqrt(3) - 1) - 1,
      2 * (2 * Math.SQRT2 - 2) - 1,
      2 * (2 * Math.sqrt(3) - 3) - 1,
    ]);
  });
});

describe('cluster vectors', () => {
  const start = initialParameters({ kind: 'k-means', clusters: 2 }, 2);

  test('a customer is in the block of its nearest cell and in no other', () => {
    const uniform = uniformFrom(3);
    const rows = Array.from({ length: 40 }, () => [2 * uniform() - 1, 2 * uniform() - 1]);
    const encoded = encodedOf(
      rows,
      rows.map((_, i) => i % 2),
    );
    const vectors = clusterVectors(shape, start, encoded, numbers(40), 50);
    expect([vectors.count, vectors.dimension]).toEqual([50, cells * block]);
    const into = new Float64Array(vectors.dimension);
    for (const [i, nearest] of assignments(start, encoded).entries()) {
      vectors.read(i, into);
      const expected = new Float64Array(vectors.dimension);
      expected.set([1, Math.fround(rows[i]![0]!), Math.fround(rows[i]![1]!), i % 2], nearest * block);
      expect(into).toEqual(expected);
    }
    vectors.read(45, into.fill(9));
    expect(into.every((value) => value === 0)).toBe(true);
  });

  test('a slot without a customer is zero', () => {
    const encoded = encodedOf([[0.5, 0.5]], [1]);
    expect([...sumOf(clusterVectors(shape, start, encoded, Int32Array.of(-1, -1), 2))]).toEqual(Array(48).fill(0));
  });

  test('a customer with several rows is their mean, its label the share of positive ones', () => {
    const two = {
      ...encodedOf(
        [
          [0.5, 0],
          [-0.5, 0.5],
        ],
        [1, 0],
      ),
      ...groupRows(Int32Array.of(0, 0), 1),
      maxRows: 2,
    };
    const centres = Float64Array.of(0, 0.25);
    const vectors = clusterVectors({ ...shape, clusters: 1 }, centres, two, Int32Array.of(0), 1);
    expect([...sumOf(vectors)]).toEqual([1, 0, 0.25, 0.5]);
  });

  test('no vector is longer than the public bound: one-hot features count once', () => {
    // one number and one category of three
    const bound = customerNorm(2, true);
    expect(bound).toBe(2);
    const number = fc.double({ min: -1, max: 1, noNaN: true });
    const row = fc.tuple(number, fc.integer({ min: 0, max: 3 }));
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), fc.boolean(), (rows, positive) => {
        const inputs = rows.map(([x, category]) => [x, ...[0, 1, 2].map((c) => Number(c === category))]);
        const encoded: Encoded = {
          ...encodedOf(
            inputs,
            inputs.map(() => Number(positive)),
          ),
          ...groupRows(new Int32Array(rows.length), 1),
        };
        const wide = { clusters: 2, width: 4, labelled: true };
        const vectors = clusterVectors(wide, spread(cells, 4), encoded, Int32Array.of(0), 1);
        return Math.hypot(...sumOf(vectors)) <= bound + 1e-6;
      }),
    );
  });

  test('labelled sums of rows without labels are refused', () => {
    const encoded = { ...encodedOf([[0, 0]], [0]), labels: null };
    expect(() => clusterVectors(shape, start, encoded, Int32Array.of(0), 1)).toThrow('need rows with labels');
  });
});

describe('next centres', () => {
  const started = Float64Array.of(-0.5, -0.5, 0.5, 0.5, ...new Array<number>(20).fill(4));
  const sumsWith = (...blocks: number[][]) => {
    const sums = new Float64Array(cells * block);
    for (const [c, values] of blocks.entries()) sums.set(values, c * block);
    return sums;
  };

  test('they are the means of the blocks, kept in the box', () => {
    const next = nextCentres(sumsWith([100, 50, -25, 3], [10, 12, -30, 0]), started, shape, 5);
    expect([...next.subarray(0, 4)]).toEqual([0.5, -0.25, 1, -1]);
  });

  test('a cell whose noisy count is below the floor keeps its place', () => {
    const next = nextCentres(sumsWith([100, 50, -25, 3], [4.9, 4, 4, 0]), started, shape, 5);
    expect([...centresOf(next, shape)]).toEqual([0.5, -0.25, 0.5, 0.5]);
  });

  test('the first sum condenses the cells into k centres and parks the rest where nobody is near', () => {
    const start = initialParameters({ kind: 'k-means', clusters: 2 }, 2);
    expect(isStart(start, shape)).toBe(true);
    const sums = sumsWith([50, 40, 40, 0], [], [30, -21, -21, 0], [50, 41, 40, 0]);
    const next = nextCentres(sums, start, shape, 5);
    expect(isStart(next, shape)).toBe(false);
    expect([...next.subarray(0, 2)]).toEqual([0.81, 0.8]);
    expect(next[2]).toBeCloseTo(-0.7, 12);
    const corners = encodedOf(
      [
        [1, 1],
        [-1, -1],
        [1, -1],
        [-1, 1],
      ],
      [0, 0, 0, 0],
    );
    expect(assignments(next, corners)).toEqual(assignments(centresOf(next, shape), corners));
  });

  test('when noise hides every cell, there are still k centres inside the box', () => {
    const start = initialParameters({ kind: 'k-means', clusters: 2 }, 2);
    const gaussian = gaussianFrom(5);
    const next = nextCentres(
      new Float64Array(cells * block).map(() => 30 * gaussian()),
      start,
      shape,
      1e9,
    );
    expect(centresOf(next, shape).every((value) => Math.abs(value) <= 1)).toBe(true);
    expect(isStart(next, shape)).toBe(false);
  });

  test('sums that do not fit or are not finite are refused', () => {
    expect(() => nextCentres(new Float64Array(5), started, shape, 5)).toThrow('48 coordinates is needed, got 5');
    expect(() => nextCentres(sumsWith([Number.NaN]), started, shape, 5)).toThrow('sums must be finite');
  });
});

describe('private Lloyd', () => {
  /** Customers in four groups in corners of the box, unequal in size. */
  function groups(): Encoded {
    const gaussian = gaussianFrom(17);
    const corners = [
      [-0.8, -0.8, 0.5],
      [-0.7, 0.6, 0.4],
      [0.6, -0.7, 0.5],
      [0.8, 0.7, -0.6],
    ];
    const rows = [1500, 900, 600, 400].flatMap((size, g) =>
      Array.from({ length: size }, () => corners[g]!.map((at) => Math.min(1, Math.max(-1, at + 0.12 * gaussian())))),
    );
    return encodedOf(
      rows,
      rows.map(() => 0),
    );
  }

  function inertia(encoded: Encoded, centres: Float64Array): number {
    let sum = 0;
    for (const [i, c] of assignments(centres, encoded).entries()) {
      for (let j = 0; j < 3; j++) sum += (encoded.inputs[3 * i + j]! - centres[3 * c + j]!) ** 2;
    }
    return sum;
  }

  function lloyd(encoded: Encoded, noise: number, seed: number): Float64Array {
    const of: KMeansShape = { clusters: 4, width: 3, labelled: false };
    const gaussian = gaussianFrom(seed);
    let parameters = initialParameters({ kind: 'k-means', clusters: 4 }, 3);
    for (let round = 0; round < 5; round++) {
      const sums = sumOf(clusterVectors(of, parameters, encoded, numbers(encoded.customers), encoded.customers));
      const noisy = sums.map((value) => value + noise * gaussian());
      parameters = nextCentres(noisy, parameters, of, countFloor(noise));
    }
    return centresOf(parameters, of);
  }

  test('five noisy rounds from a start that saw no data find the groups', () => {
    const encoded = groups();
    const best = inertia(encoded, lloyd(encoded, 0, 1));
    // the four groups, and nothing left to gain
    expect(best / encoded.customers).toBeLessThan(3 * 0.12 ** 2 * 1.02);
    const ratios = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((seed) => inertia(encoded, lloyd(encoded, 15, seed)) / best);
    expect(ratios.filter((ratio) => ratio <= 1.1).length).toBeGreaterThanOrEqual(9);
  });
});
