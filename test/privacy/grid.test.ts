import { expect, test } from 'vitest';
import { clip } from '../../privacy/clip.ts';
import {
  dequantize,
  ghostClipped,
  MAX_GRID_STEPS,
  pathFor,
  quantize,
  quantizeChunks,
  sensitivity,
} from '../../privacy/grid.ts';
import type { Clipped } from '../../privacy/steps.ts';
import { customersOf, norm } from './customers.ts';
import { replayRandom } from './replay-random.ts';

/** Uniform numbers in [0, 1) with a fixed seed. */
function uniforms(seed: string): () => number {
  const random = replayRandom(seed);
  const words = new Uint32Array(4096);
  let next = words.length;
  return () => {
    if (next === words.length) {
      random.fill(words);
      next = 0;
    }
    return words[next++]! / 2 ** 32;
  };
}

type Rows = readonly (readonly number[])[];

/** A customer as hostile as data can be: any scale, NaN, infinities, zero, all coordinates alike or at ties of the grid. */
function anyRow(uniform: () => number, dimension: number, step: number): number[] {
  const kind = Math.floor(uniform() * 8);
  const scale = 10 ** (uniform() * 6 - 3);
  const coordinate = () => (uniform() * 2 - 1) * scale;
  switch (kind) {
    case 0:
      return Array.from({ length: dimension }, () => (uniform() < 0.5 ? NaN : coordinate()));
    case 1:
      return Array.from({ length: dimension }, () => coordinate() * 1e300);
    case 2:
      return new Array<number>(dimension).fill(coordinate());
    case 3:
      return Array.from({ length: dimension }, () => (Math.floor(uniform() * 7) + 0.5) * step);
    case 4:
      return Array.from({ length: dimension }, (_, i) => (i === 0 ? Infinity : 0));
    default:
      return Array.from({ length: dimension }, coordinate);
  }
}

const difference = (a: Float64Array, b: Float64Array): number => norm(a.map((x, i) => x - b[i]!));

test('one customer added to or removed from any batch moves the sum by at most the sensitivity', () => {
  const uniform = uniforms('strict neighbours');
  let [largest, cases] = [0, 0];
  for (const gridSteps of [1, 2, 7, 1000, 2 ** 20, MAX_GRID_STEPS]) {
    for (let i = 0; i < 2500; i++, cases++) {
      const dimension = 1 + Math.floor(uniform() * 12);
      const clipNorm = 10 ** (uniform() * 4 - 2);
      const step = clipNorm / gridSteps;
      const batch: Rows = Array.from({ length: Math.floor(uniform() * 5) }, () => anyRow(uniform, dimension, step));
      const one = batch.length > 0 && uniform() < 0.1 ? batch[0]! : anyRow(uniform, dimension, step);
      const sum = (rows: Rows) => quantize(clip(customersOf(rows, dimension), clipNorm), gridSteps);
      const moved = difference(sum([...batch, one]), sum(batch));
      expect(moved).toBeLessThanOrEqual(sensitivity('strict', gridSteps, dimension));
      largest = Math.max(largest, moved / gridSteps);
    }
  }
  expect(cases).toBeGreaterThanOrEqual(10_000);
  expect(largest).toBe(1); // and some customer uses the bound up
});

test('a vector whose rounding would leave the ball is brought back into it', () => {
  // 16 coordinates of 2.5 steps: the norm is 10, rounded up it is 12.
  const row = new Array<number>(16).fill(0.25);
  const sum = quantize(clip(customersOf([row], 16), 1), 10);
  expect(norm(sum)).toBeLessThanOrEqual(10);
  expect([...sum]).toEqual(new Array(16).fill(2));
});

test('vectors inside the ball go to the nearest step', () => {
  const rows = [
    [0.104, -0.296, 0],
    [0.046, 0.044, -0.1],
  ];
  expect([...quantize(clip(customersOf(rows, 3), 1), 100)]).toEqual([15, -26, -10]);
});

test('an empty batch is a sum of zeros', () => {
  expect([...quantize(clip(customersOf([], 3), 1), 100)]).toEqual([0, 0, 0]);
});

test('a customer that cannot be read as numbers changes nothing', () => {
  const sum = (rows: Rows) => quantize(clip(customersOf(rows, 2), 1), 2 ** 20);
  expect(
    sum([
      [0.5, 0.25],
      [NaN, 1],
    ]),
  ).toEqual(sum([[0.5, 0.25]]));
});

test('the order of customers does not matter', () => {
  const uniform = uniforms('order');
  const rows = Array.from({ length: 50 }, () => anyRow(uniform, 7, 1e-6));
  const sum = (some: Rows) => quantize(clip(customersOf(some, 7), 1), 2 ** 20);
  expect(sum(rows)).toEqual(sum([...rows].reverse()));
});

test('a sum that could leave the exact integers is refused', () => {
  const crowd = { count: 2 ** 28, dimension: 1, read: () => {} };
  expect(() => quantize(clip(crowd, 1), 2 ** 24)).toThrow(RangeError);
});

test.each([0, 0.5, -3, 2 ** 25 + 1, NaN])('a grid of %d steps is refused', (gridSteps) => {
  expect(() => quantize(clip(customersOf([], 1), 1), gridSteps)).toThrow(RangeError);
  expect(() => sensitivity('strict', gridSteps, 1)).toThrow(RangeError);
});

/** Rows of one customer each, added up 64 rows at a time in float32. */
function chunksOf(rows: Rows, clipNorm: number, dimension: number): Float32Array[] {
  const clipped: Clipped = clip(customersOf(rows, dimension), clipNorm);
  const chunks = Array.from({ length: Math.ceil(rows.length / 64) }, () => new Float32Array(dimension));
  const row = new Float64Array(dimension);
  for (let i = 0; i < rows.length; i++) {
    clipped.read(i, row);
    const chunk = chunks[Math.floor(i / 64)]!;
    for (let j = 0; j < dimension; j++) chunk[j]! += Math.fround(row[j]!);
  }
  return chunks;
}

test('on the ghost path, too, one customer moves the sum by at most the sensitivity', () => {
  const uniform = uniforms('ghost neighbours');
  let largest = 0;
  for (let i = 0; i < 2000; i++) {
    const dimension = 1 + Math.floor(uniform() * 30);
    const gridSteps = [16, 1000, 2 ** 20][i % 3]!;
    const rows = Array.from({ length: 100 }, () => anyRow(uniform, dimension, 1 / gridSteps));
    const place = Math.floor(uniform() * 100);
    const without = rows.map((row, at) => (at === place ? new Array<number>(dimension).fill(0) : row));
    const sum = (some: Rows) =>
      quantizeChunks(ghostClipped({ clipNorm: 2, dimension, chunks: chunksOf(some, 2, dimension) }), gridSteps);
    const [moved, bound] = [difference(sum(rows), sum(without)), sensitivity('ghost', gridSteps, dimension)];
    expect(moved).toBeLessThanOrEqual(bound);
    largest = Math.max(largest, moved / gridSteps);
  }
  expect(largest).toBeGreaterThan(1); // more than the strict path allows: the larger sensitivity is needed
});

test('a chunk that is not a sum of clipped customers stops everything', () => {
  const add = (chunk: Float32Array) =>
    quantizeChunks(ghostClipped({ clipNorm: 1, dimension: 2, chunks: [chunk] }), 1000);
  expect([...add(Float32Array.of(60, 20))]).toEqual([60_000, 20_000]);
  expect(() => add(Float32Array.of(60, 25))).toThrow('not clipped');
  expect(() => add(Float32Array.of(NaN, 0))).toThrow('not clipped');
  expect(() => add(Float32Array.of(0, Infinity))).toThrow('not clipped');
  expect(() => add(Float32Array.of(1))).toThrow('must hold 2 values');
});

test('sensitivities and paths are those of the plan arithmetic', () => {
  expect(sensitivity('strict', 2 ** 20, 1e6)).toBe(2 ** 20);
  expect(sensitivity('ghost', 2 ** 20, 1e6)).toBe(Math.ceil(2 ** 20 * 1.001 + 1000));
  expect(pathFor(1e5, 500)).toBe('strict');
  expect(pathFor(1e5, 501)).toBe('ghost');
});

test('a sum on the grid comes back in the units of the vectors', () => {
  expect([...dequantize(Float64Array.of(500, -250, 0), 2, 1000)]).toEqual([1, -0.5, 0]);
});
