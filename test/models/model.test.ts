import { describe, expect, test } from 'vitest';
import {
  initialParameters,
  type ModelSpec,
  modelSpec,
  networkOf,
  parameterCount,
  parameterHash,
  sumDimension,
} from '../../models/model.ts';
import { schema } from './tables.ts';

const mlp: ModelSpec = { kind: 'mlp', hidden: [5, 3], seed: 7 };

describe('model spec', () => {
  test('a network has 64 and 32 hidden units and seed 1 unless told otherwise', () => {
    expect(modelSpec.parse({ kind: 'mlp' })).toEqual({ kind: 'mlp', hidden: [64, 32], seed: 1 });
  });

  test.each([
    { kind: 'tree' },
    { kind: 'mlp', hidden: [0] },
    { kind: 'k-means', clusters: 1 },
    { kind: 'logistic', x: 1 },
  ])('%j is refused', (spec) => expect(modelSpec.safeParse(spec).success).toBe(false));

  test('parameters are counted with biases', () => {
    expect(parameterCount({ kind: 'logistic' }, 46)).toBe(47);
    expect(parameterCount(mlp, 4)).toBe(5 * 5 + 6 * 3 + 4);
    expect(networkOf(mlp, 4).widths).toEqual([4, 5, 3, 1]);
  });

  test('a sum of gradients is as long as the parameters, one of clusters has a count and a label more per cell', () => {
    expect(sumDimension(mlp, schema)).toBe(parameterCount(mlp, 4));
    expect(sumDimension({ kind: 'k-means', clusters: 2 }, schema)).toBe(12 * (1 + 4 + 1));
    const { label: _, ...unlabelled } = schema;
    expect(sumDimension({ kind: 'k-means', clusters: 2 }, unlabelled)).toBe(12 * (1 + 4));
  });
});

describe('initial parameters', () => {
  test('logistic regression starts at zero', () => {
    expect([...initialParameters({ kind: 'logistic' }, 3)]).toEqual([0, 0, 0, 0]);
  });

  test('a network starts within the bounds of He, with zero biases', () => {
    const parameters = initialParameters({ ...mlp, hidden: [50] }, 4);
    const limit = Math.sqrt(6 / 4);
    const kernel = parameters.subarray(0, 200);
    expect(kernel.every((value) => Math.abs(value) <= limit)).toBe(true);
    const variance = kernel.reduce((sum, value) => sum + value * value, 0) / 200;
    expect(variance).toBeGreaterThan(0.8 * (2 / 4));
    expect(variance).toBeLessThan(1.2 * (2 / 4));
    expect([...parameters.subarray(200, 250)]).toEqual(Array(50).fill(0));
  });

  // the hashes are this code's own: they hold the start still, on every machine and version
  test('the start is a public function of the spec, the same on every machine', () => {
    expect(parameterHash(initialParameters(mlp, 4))).toBe(
      '95416353137e7a530d37cba60c0acd7a7e15889e39ce2db77a8a97a8d6baacfd',
    );
    expect(parameterHash(initialParameters({ kind: 'k-means', clusters: 3 }, 5))).toBe(
      '834e127e3b01b4fd7128169f46e31ddbdf35623ca4745cabc449e5b2940fe017',
    );
    expect(parameterHash(initialParameters({ ...mlp, seed: 8 }, 4))).not.toBe(
      '95416353137e7a530d37cba60c0acd7a7e15889e39ce2db77a8a97a8d6baacfd',
    );
  });
});

describe('parameter hash', () => {
  test('it is SHA-256 of a prefix and little-endian doubles', () => {
    // printf 'parley/parameters/v1\n\0\0\0\0\0\0\xf0\x3f' | sha256sum
    expect(parameterHash(Float64Array.of(1))).toBe('0fb389025aae2586498786a82830d39f155e7cffe5b348a3c348a433b7ba0909');
  });

  test('it tells apart values that differ in the last bit', () => {
    expect(parameterHash(Float64Array.of(1))).not.toBe(parameterHash(Float64Array.of(1 + Number.EPSILON)));
  });

  test('parameters that are not finite have no hash', () => {
    expect(() => parameterHash(Float64Array.of(0, Number.NaN))).toThrow('parameter 1 must be finite, got NaN');
  });
});
