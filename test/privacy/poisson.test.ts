import { expect, test } from 'vitest';
import {
  EVERYBODY,
  overflowProbability,
  PADDING,
  placeBatch,
  samplePoisson,
  samplingRate,
} from '../../privacy/poisson.ts';
import { replayRandom, scriptedRandom } from './replay-random.ts';

test('a probability is rounded up to a multiple of 2^-32', () => {
  expect(samplingRate(0.1)).toBe(429496730);
  expect(samplingRate(0.5)).toBe(2 ** 31);
  expect(samplingRate(1)).toBe(EVERYBODY);
  expect(samplingRate(1e-12)).toBe(1);
});

test.each([0, -0.1, 1.0001, NaN])('a probability of %d is refused', (q) => {
  expect(() => samplingRate(q)).toThrow(RangeError);
});

test.each([0, 0.1, 2 ** 32 + 1, NaN])('a rate of %d is refused: a probability is not a rate', (rate) => {
  expect(() => samplePoisson(10, rate, replayRandom('rate'))).toThrow(RangeError);
});

test('a customer is drawn exactly when its word is below the rate', () => {
  const words = scriptedRandom([99, 100, 101, 0, 2 ** 32 - 1]);
  expect([...samplePoisson(5, 100, words)]).toEqual([0, 3]);
});

test('at the rate of everybody all are drawn, whatever the words', () => {
  expect([...samplePoisson(3, EVERYBODY, scriptedRandom([2 ** 32 - 1, 0, 7]))]).toEqual([0, 1, 2]);
});

test('no customers give an empty batch', () => {
  expect(samplePoisson(0, EVERYBODY, replayRandom('none'))).toHaveLength(0);
});

test('each customer is drawn as often as the rate says, and pairs independently', () => {
  const [customers, rounds, q] = [40_000, 200, 0.02];
  const random = replayRandom('frequency');
  const drawn = new Float64Array(customers);
  let neighbours = 0;
  for (let round = 0; round < rounds; round++) {
    const batch = samplePoisson(customers, samplingRate(q), random);
    for (const [i, customer] of batch.entries()) {
      drawn[customer]!++;
      if (batch[i + 1] === customer + 1) neighbours++;
    }
  }
  const total = drawn.reduce((sum, count) => sum + count, 0);
  const trials = customers * rounds;
  expect(Math.abs(total - trials * q) / Math.sqrt(trials * q * (1 - q))).toBeLessThan(4.9);
  const dispersion =
    drawn.reduce((sum, count) => sum + (count - rounds * q) ** 2, 0) / (customers * rounds * q * (1 - q));
  expect(Math.abs(dispersion - 1) * Math.sqrt(customers / 2)).toBeLessThan(4.9);
  expect(Math.abs(neighbours - trials * q * q) / Math.sqrt(trials * q * q)).toBeLessThan(4.9);
});

/** P[Bin(n, q) > m], summed term by term. */
function exactOverflow(n: number, q: number, m: number): number {
  let logTerm = n * Math.log1p(-q);
  let sum = 0;
  for (let k = 0; k <= n; k++) {
    if (k > m) sum += Math.exp(logTerm);
    logTerm += Math.log((n - k) / (k + 1)) + Math.log(q / (1 - q));
  }
  return sum;
}

test('the overflow bound is never below the exact probability, and not far above', () => {
  for (const [n, q] of [
    [10, 0.3],
    [500, 0.1],
    [5000, 0.02],
    [2000, 0.5],
  ] as const) {
    const rate = samplingRate(q);
    for (let m = Math.floor(n * q); m < n; m += Math.max(1, Math.floor(n / 50))) {
      const exact = exactOverflow(n, rate / EVERYBODY, m);
      const bound = overflowProbability(n, rate, m);
      expect(bound).toBeGreaterThanOrEqual(exact * (1 - 1e-9));
      if (exact > 1e-200 && exact < 1e-6) expect(Math.log(bound)).toBeLessThan(0.7 * Math.log(exact));
    }
  }
});

test('the overflow bound at its ends: certain below the mean, impossible from count on, never zero before', () => {
  expect(overflowProbability(100, samplingRate(0.5), 40)).toBe(1);
  expect(overflowProbability(100, samplingRate(0.5), 100)).toBe(0);
  expect(overflowProbability(100, EVERYBODY, 99)).toBe(1);
  expect(overflowProbability(1_000_000, samplingRate(1e-6), 900_000)).toBeGreaterThan(0);
  expect(overflowProbability(3, 1, 2)).toBeGreaterThan(0);
});

test('a placed batch holds every customer once, and padding elsewhere', () => {
  const rows = placeBatch(Int32Array.of(3, 1, 4, 15), 9, replayRandom('place'));
  expect(rows).toHaveLength(9);
  expect([...rows].filter((row) => row !== PADDING).sort((a, b) => a - b)).toEqual([1, 3, 4, 15]);
});

test('every placement is as likely as any other, with or without one more customer', () => {
  const random = replayRandom('uniform placement');
  for (const batch of [Int32Array.of(7, 8), Int32Array.of(7, 8, 9)]) {
    const counts = new Map<string, number>();
    const [trials, cells] = [24_000, 12]; // rows of 7 and 8 among 4: twelve ordered pairs
    for (let trial = 0; trial < trials; trial++) {
      const rows = placeBatch(batch, 4, random);
      const where = `${rows.indexOf(7)} ${rows.indexOf(8)}`;
      counts.set(where, (counts.get(where) ?? 0) + 1);
    }
    expect(counts.size).toBe(cells);
    const chiSquare = [...counts.values()].reduce((sum, n) => sum + (n - trials / cells) ** 2 / (trials / cells), 0);
    expect(chiSquare).toBeLessThan(50); // 11 degrees of freedom: p > 1e-6
  }
});

test('from a batch that is too large a uniformly random part is kept', () => {
  const random = replayRandom('cut');
  const kept = new Float64Array(5);
  for (let trial = 0; trial < 10_000; trial++) {
    const rows = placeBatch(Int32Array.of(0, 1, 2, 3, 4), 2, random);
    expect(rows).toHaveLength(2);
    for (const row of rows) kept[row]!++;
  }
  for (const count of kept) expect(Math.abs(count - 4000) / Math.sqrt(10_000 * 0.4 * 0.6)).toBeLessThan(4.9);
});
