import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Backend, startBackend } from '../../models/backend.ts';
import { type Batch, padBatch } from '../../models/batch.ts';
import type { CustomerVectors } from '../../models/customer-vectors.ts';
import { groupRows } from '../../models/encoded.ts';
import { dimensionOf, type Network } from '../../models/layers.ts';
import { customerGradients, ghostClippedSums, plainGradient, scores } from '../../models/network.ts';
import { encodedOf, gaussianFrom, numbers, uniformFrom } from './tables.ts';

const nets: [string, Network][] = [
  ['logistic regression', { widths: [3, 1] }],
  ['a network', { widths: [3, 5, 4, 1] }],
];

let backend: Backend;
beforeAll(async () => {
  backend = await startBackend('wasm');
});

/** Loss and its gradient for one row, by plain loops in doubles. The weights are row-major, then the biases. */
function naiveGradient(net: Network, parameters: Float64Array, x: readonly number[], label: number): Float64Array {
  const layers = net.widths.slice(1).map((outputs, l) => ({ inputs: net.widths[l]!, outputs }));
  const activations = [[...x]];
  const offsets: number[] = [];
  let at = 0;
  for (const [l, { inputs, outputs }] of layers.entries()) {
    offsets.push(at);
    const next = Array.from({ length: outputs }, (_, j) => {
      let z = parameters[at + inputs * outputs + j]!;
      for (let i = 0; i < inputs; i++) z += activations[l]![i]! * parameters[at + i * outputs + j]!;
      return l < layers.length - 1 ? Math.max(0, z) : 1 / (1 + Math.exp(-z));
    });
    activations.push(next);
    at += (inputs + 1) * outputs;
  }
  const gradient = new Float64Array(at);
  let delta = [activations.at(-1)![0]! - label];
  for (let l = layers.length - 1; l >= 0; l--) {
    const { inputs, outputs } = layers[l]!;
    const from = offsets[l]!;
    for (let j = 0; j < outputs; j++) {
      gradient[from + inputs * outputs + j] = delta[j]!;
      for (let i = 0; i < inputs; i++) gradient[from + i * outputs + j] = activations[l]![i]! * delta[j]!;
    }
    delta = Array.from({ length: inputs }, (_, i) => {
      let back = 0;
      for (let j = 0; j < outputs; j++) back += parameters[from + i * outputs + j]! * delta[j]!;
      return activations[l]![i]! > 0 ? back : 0;
    });
  }
  return gradient;
}

const norm = (v: Float64Array | Float32Array) => Math.hypot(...v);

function relativeError(actual: Float64Array | Float32Array, expected: Float64Array): number {
  return norm(expected.map((value, i) => value - actual[i]!)) / Math.max(norm(expected), 1e-12);
}

function readOne(vectors: CustomerVectors, index: number): Float64Array {
  const into = new Float64Array(vectors.dimension).fill(99);
  vectors.read(index, into);
  return into;
}

function someRows(count: number, seed: number): { rows: number[][]; labels: number[] } {
  const uniform = uniformFrom(seed);
  const rows = Array.from({ length: count }, () => [0, 0, 0].map(() => 2 * uniform() - 1));
  return { rows, labels: rows.map(() => Number(uniform() < 0.4)) };
}

/** Small enough that no probability comes near 0 or 1, where float32 has few digits left for δ. */
function someParameters(net: Network, seed: number): Float64Array {
  const gaussian = gaussianFrom(seed);
  return Float64Array.from({ length: dimensionOf(net) }, () => 0.5 * gaussian());
}

function batchOf(rows: number[][], labels: number[], size = rows.length): Batch {
  return padBatch(encodedOf(rows, labels), numbers(rows.length), size);
}

const total = (chunks: readonly Float32Array[], dimension: number) =>
  Float64Array.from({ length: dimension }, (_, i) => chunks.reduce((sum, chunk) => sum + chunk[i]!, 0));

describe.each(nets)('gradients of %s', (_, net) => {
  test('each customer has its own, as if it were alone', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 1, max: 9 }), async (seed, count) => {
        const { rows, labels } = someRows(count, seed);
        const parameters = someParameters(net, seed);
        const vectors = await customerGradients(backend, net, parameters, batchOf(rows, labels, count + 3));
        expect([vectors.count, vectors.dimension]).toEqual([count + 3, dimensionOf(net)]);
        for (let i = 0; i < count; i++) {
          const expected = naiveGradient(net, parameters, rows[i]!, labels[i]!);
          expect(relativeError(readOne(vectors, i), expected)).toBeLessThan(1e-5);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('slots without a customer are exactly zero', async () => {
    const { rows, labels } = someRows(3, 5);
    const parameters = someParameters(net, 1);
    const vectors = await customerGradients(backend, net, parameters, batchOf(rows, labels, 6));
    for (const slot of [3, 4, 5]) expect(readOne(vectors, slot).every((value) => value === 0)).toBe(true);
    const none = padBatch(encodedOf(rows, labels), new Int32Array(0), 70);
    const { chunks, dimension } = await ghostClippedSums(backend, net, parameters, none, 1);
    expect(chunks).toHaveLength(2);
    expect(total(chunks, dimension).every((value) => value === 0)).toBe(true);
  });

  test('a customer with several rows has the mean of theirs, however many slots for rows it leaves empty', async () => {
    const { rows, labels } = someRows(4, 8);
    const encoded = { ...encodedOf(rows, labels), ...groupRows(Int32Array.of(0, 1, 0, 0), 2), maxRows: 4 };
    const parameters = someParameters(net, 2);
    const vectors = await customerGradients(backend, net, parameters, padBatch(encoded, Int32Array.of(1, 0), 3));
    const all = rows.map((row, i) => naiveGradient(net, parameters, row, labels[i]!));
    expect(relativeError(readOne(vectors, 0), all[1]!)).toBeLessThan(1e-5);
    const mean = all[0]!.map((value, i) => (value + all[2]![i]! + all[3]![i]!) / 3);
    expect(relativeError(readOne(vectors, 1), mean)).toBeLessThan(1e-5);
  });

  test('a row that is not a number spoils its own customer and no other', async () => {
    const { rows, labels } = someRows(3, 9);
    const parameters = someParameters(net, 3);
    const broken = [rows[0]!, [Number.NaN, 0, 1], rows[2]!];
    const vectors = await customerGradients(backend, net, parameters, batchOf(broken, labels));
    expect(readOne(vectors, 1).some(Number.isNaN)).toBe(true);
    for (const i of [0, 2]) {
      const expected = naiveGradient(net, parameters, rows[i]!, labels[i]!);
      expect(relativeError(readOne(vectors, i), expected)).toBeLessThan(1e-5);
    }
  });

  test('the plain gradient is the sum of all, weighted', async () => {
    const { rows, labels } = someRows(5, 10);
    const parameters = someParameters(net, 4);
    const weights = Float32Array.of(1, 0.5, 0, 2, 1);
    const sum = await plainGradient(backend, net, parameters, { ...batchOf(rows, labels), weights });
    const expected = new Float64Array(dimensionOf(net));
    for (const [r, row] of rows.entries()) {
      const gradient = naiveGradient(net, parameters, row, labels[r]!);
      for (const [i, value] of gradient.entries()) expected[i]! += weights[r]! * value;
    }
    expect(relativeError(sum, expected)).toBeLessThan(1e-5);
  });
});

describe.each(nets)('ghost clipping of %s', (_, net) => {
  /** What clipping one customer after the other gives. */
  function naiveSum(parameters: Float64Array, rows: number[][], labels: number[], clipNorm: number): Float64Array {
    const sum = new Float64Array(dimensionOf(net));
    for (const [r, row] of rows.entries()) {
      const gradient = naiveGradient(net, parameters, row, labels[r]!);
      if (!gradient.every(Number.isFinite)) continue;
      const factor = Math.min(1, clipNorm / norm(gradient));
      for (const [i, value] of gradient.entries()) sum[i]! += factor * value;
    }
    return sum;
  }

  test.each([0.05, 0.7, 100])('its sum is that of clipping each customer alone, at %d', async (clipNorm) => {
    const { rows, labels } = someRows(150, 11);
    const parameters = someParameters(net, 5);
    const { chunks, dimension } = await ghostClippedSums(
      backend,
      net,
      parameters,
      batchOf(rows, labels, 170),
      clipNorm,
    );
    expect(chunks.map((chunk) => chunk.length)).toEqual([dimension, dimension, dimension]);
    const expected = naiveSum(parameters, rows, labels, clipNorm);
    expect(relativeError(total(chunks, dimension), expected)).toBeLessThan(1e-5);
    const first = naiveSum(parameters, rows.slice(0, 64), labels.slice(0, 64), clipNorm);
    expect(relativeError(chunks[0]!, first)).toBeLessThan(1e-5);
  });

  test('one customer moves the sum by at most the clip norm', async () => {
    const { rows, labels } = someRows(1, 12);
    const huge = rows.map((row) => row.map((value) => value * 1000));
    const { chunks } = await ghostClippedSums(backend, net, someParameters(net, 6), batchOf(huge, labels), 0.5);
    expect(norm(chunks[0]!)).toBeLessThan(0.5 * (1 + 1e-6));
  });

  test('the same customer twice counts twice', async () => {
    const { rows, labels } = someRows(1, 13);
    const parameters = someParameters(net, 7);
    const once = await ghostClippedSums(backend, net, parameters, batchOf(rows, labels), 0.3);
    const twice = batchOf([...rows, ...rows], [...labels, ...labels]);
    const both = await ghostClippedSums(backend, net, parameters, twice, 0.3);
    expect(
      relativeError(
        both.chunks[0]!,
        Float64Array.from(once.chunks[0]!, (v) => 2 * v),
      ),
    ).toBeLessThan(1e-6);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 3e38])('a row holding %d counts as nothing', async (bad) => {
    const { rows, labels } = someRows(4, 14);
    const parameters = someParameters(net, 8).map((value) => 4 * value);
    const broken = [...rows.slice(0, 2), [bad, bad, -bad], ...rows.slice(2)];
    const all = [...labels.slice(0, 2), 1, ...labels.slice(2)];
    const { chunks } = await ghostClippedSums(backend, net, parameters, batchOf(broken, all), 0.5);
    const without = await ghostClippedSums(backend, net, parameters, batchOf(rows, labels), 0.5);
    const expected = Float64Array.from(without.chunks[0]!);
    // 3e38 is a number: where its gradient stays finite it counts, clipped
    const error = norm(expected.map((value, i) => value - chunks[0]![i]!));
    expect(error).toBeLessThan(bad === 3e38 ? 0.5 * (1 + 1e-6) : 1e-6);
  });

  test('a batch whose customers may have several rows is refused', async () => {
    const encoded = { ...encodedOf([[0, 0, 0]], [1]), maxRows: 2 };
    const batch = padBatch(encoded, Int32Array.of(0), 4);
    await expect(ghostClippedSums(backend, net, someParameters(net, 9), batch, 1)).rejects.toThrow('one row for each');
  });

  test.each([0, -1, Number.NaN])('a clip norm of %d is refused', async (clipNorm) => {
    const batch = batchOf([[0, 0, 0]], [1]);
    await expect(ghostClippedSums(backend, net, someParameters(net, 9), batch, clipNorm)).rejects.toThrow(RangeError);
  });
});

describe('networks', () => {
  test('scores are probabilities, for more rows than are computed at once', async () => {
    const net: Network = { widths: [2, 1] };
    const inputs = Float32Array.from({ length: 2 * 5000 }, (_, i) => ((i * 7) % 11) / 11 - 0.5);
    const result = await scores(backend, net, Float64Array.of(1.5, -2, 0.25), inputs);
    expect(result).toHaveLength(5000);
    for (const row of [0, 17, 4095, 4096, 4999]) {
      const z = 1.5 * inputs[2 * row]! - 2 * inputs[2 * row + 1]! + 0.25;
      expect(result[row]).toBeCloseTo(1 / (1 + Math.exp(-z)), 5);
    }
  });

  test('no rows have no scores', async () => {
    expect(await scores(backend, { widths: [2, 1] }, new Float64Array(3), new Float32Array(0))).toHaveLength(0);
  });

  test('parameters of another length are refused', async () => {
    const wrong = new Float64Array(5);
    await expect(customerGradients(backend, { widths: [3, 1] }, wrong, batchOf([[0, 0, 0]], [1]))).rejects.toThrow(
      '4 parameters needed, got 5',
    );
  });

  test('no tensor stays behind, whatever happens', async () => {
    const net: Network = { widths: [3, 4, 1] };
    const before = backend.tf.memory().numTensors;
    const parameters = someParameters(net, 1);
    const batch = batchOf([[0, 1, 0]], [1], 70);
    await customerGradients(backend, net, parameters, batch);
    await ghostClippedSums(backend, net, parameters, batch, 1);
    await plainGradient(backend, net, parameters, batch);
    await scores(backend, net, parameters, batch.inputs);
    await customerGradients(backend, net, new Float64Array(1), batch).catch(() => undefined);
    expect(backend.tf.memory().numTensors).toBe(before);
  });
});

describe('batch', () => {
  test('its size says nothing about how many customers it holds', () => {
    const sizes = (batch: Batch) => [batch.rows, batch.inputs.length, batch.labels.length, batch.customers];
    expect(sizes(batchOf(someRows(2, 1).rows, [0, 1], 9))).toEqual(
      sizes(batchOf(someRows(9, 1).rows, Array(9).fill(1))),
    );
  });

  test('customers stand in the slots they were given, and -1 is an empty one', () => {
    const { rows, labels } = someRows(2, 1);
    const batch = padBatch(encodedOf(rows, labels), Int32Array.of(-1, 1, -1, 0), 5);
    expect([...batch.weights]).toEqual([0, 1, 0, 1, 0]);
    expect([...batch.inputs.subarray(3, 6)]).toEqual(rows[1]!.map(Math.fround));
    expect([...batch.inputs.subarray(6, 9)]).toEqual([0, 0, 0]);
  });

  test('more customers than it has slots are refused', () => {
    expect(() => batchOf(someRows(3, 1).rows, [0, 1, 0], 2)).toThrow('at most 2 customers');
  });

  test('rows without labels cannot be trained on', () => {
    const encoded = { ...encodedOf([[0]], [0]), labels: null };
    expect(() => padBatch(encoded, Int32Array.of(0), 2)).toThrow('training needs labels');
  });
});
