import { expect, test } from 'vitest';
import { discreteGaussian } from '../../privacy/discrete-gaussian.ts';
import type { RandomSource } from '../../privacy/random.ts';
import { replayRandom, scriptedRandom } from './replay-random.ts';
import { chiSquareZ, discreteGaussianPmf, expectation, mean } from './statistics.ts';
import { vectors } from './vectors.ts';

const SAMPLES = 1 << 20;
const reachOf = (stdDev: number) => 40 * stdDev;

function sample(stdDev: number, length: number, random: RandomSource): Float64Array {
  const into = new Float64Array(length);
  discreteGaussian(stdDev, into, random);
  return into;
}

const known = vectors<{ cases: { stdDev: number; words: string; samples: number[] }[] }>('discrete-gaussian').cases;

test.each(known)(
  'the same words give the samples that exact arithmetic gives, σ = $stdDev',
  ({ stdDev, words, samples }) => {
    const script = words.match(/.{8}/g)!.map((word) => Number.parseInt(word, 16));
    expect([...sample(stdDev, 100, scriptedRandom(script))]).toEqual(samples);
  },
);

test.each([1, 2, 3, 17, 256])('samples follow the exact probabilities, σ = %i', (stdDev) => {
  const samples = sample(stdDev, SAMPLES, replayRandom(`chi-square ${stdDev}`));
  const pmf = discreteGaussianPmf(stdDev, reachOf(stdDev));
  expect(chiSquareZ(samples, pmf)).toBeLessThan(4.75); // p > 1e-6
});

test.each([1, 2, 3, 17, 256])('mean, variance and fourth moment are right, σ = %i', (stdDev) => {
  const samples = sample(stdDev, SAMPLES, replayRandom(`moments ${stdDev}`));
  const pmf = discreteGaussianPmf(stdDev, reachOf(stdDev));
  for (const power of [1, 2, 3, 4]) {
    const moment = expectation(pmf, (x) => x ** power);
    const spread = Math.sqrt((expectation(pmf, (x) => x ** (2 * power)) - moment ** 2) / SAMPLES);
    expect(Math.abs(mean(samples, (x) => x ** power) - moment) / spread).toBeLessThan(4.9);
  }
});

test.each([2 ** 20, 1_000_003, 2 ** 31 - 1, 2 ** 31])(
  'a large σ has the variance of the Gaussian, σ = %i',
  (stdDev) => {
    const samples = sample(stdDev, SAMPLES, replayRandom(`large ${stdDev}`));
    expect(samples.every(Number.isSafeInteger)).toBe(true);
    expect(Math.abs(mean(samples, (x) => x / stdDev)) * Math.sqrt(SAMPLES)).toBeLessThan(4.9);
    expect(Math.abs(mean(samples, (x) => (x / stdDev) ** 2) - 1) * Math.sqrt(SAMPLES / 2)).toBeLessThan(4.9);
    expect(Math.abs(mean(samples, (x) => (x / stdDev) ** 4) - 3) * Math.sqrt(SAMPLES / 96)).toBeLessThan(4.9);
  },
);

test('four shares of σ = 6 add up to one discrete Gaussian of σ = 12', () => {
  const random = replayRandom('shares');
  const shares = [1, 2, 3, 4].map(() => sample(6, SAMPLES, random));
  const sum = shares.reduce((total, share) => total.map((x, i) => x + share[i]!));
  expect(chiSquareZ(sum, discreteGaussianPmf(12, reachOf(12)))).toBeLessThan(4.75);
});

test('the sign is fair and independent of the size', () => {
  const samples = sample(5, SAMPLES, replayRandom('sign'));
  for (let size = 1; size <= 12; size++) {
    const [up, down] = [samples.filter((x) => x === size).length, samples.filter((x) => x === -size).length];
    expect(Math.abs(up - down) / Math.sqrt(up + down)).toBeLessThan(4.9);
  }
});

test('neighbouring samples are uncorrelated, in value and in size', () => {
  const samples = sample(9, SAMPLES, replayRandom('lag'));
  const variance = mean(samples, (x) => x * x);
  const lag = mean(samples, (x, i) => x * (samples[i - 1] ?? 0)) / variance;
  const size = samples.map((x) => x * x - variance);
  const lagOfSize = mean(size, (x, i) => x * (size[i - 1] ?? 0)) / mean(size, (x) => x * x);
  expect(Math.abs(lag) * Math.sqrt(SAMPLES)).toBeLessThan(4.9);
  expect(Math.abs(lagOfSize) * Math.sqrt(SAMPLES)).toBeLessThan(4.9);
});

test('the same bytes give the same samples, other bytes others', () => {
  expect(sample(100, 50, replayRandom('a'))).toEqual(sample(100, 50, replayRandom('a')));
  expect(sample(100, 50, replayRandom('a'))).not.toEqual(sample(100, 50, replayRandom('b')));
});

test('where the word buffer ends and is filled again does not show', () => {
  const long = sample(100, 40_000, replayRandom('refill'));
  for (const length of [1, 7, 2047, 2048, 4096, 12_288, 39_999]) {
    expect(sample(100, length, replayRandom('refill'))).toEqual(long.slice(0, length));
  }
});

test('word buffers hold no noise afterwards, also when the source fails', () => {
  const buffers: Uint32Array[] = [];
  const inner = replayRandom('wipe');
  const spying = (until: number): RandomSource => ({
    kind: 'replay',
    fill(words) {
      if (buffers.length >= until) throw new Error('out of entropy');
      inner.fill(words);
      buffers.push(words);
    },
  });
  sample(100, 5000, spying(100));
  expect(() => sample(100, 50_000, spying(buffers.length + 1))).toThrow('out of entropy');
  expect(buffers.length).toBeGreaterThan(2);
  expect(buffers.every((words) => words.every((word) => word === 0))).toBe(true);
});

test.each([0, -1, 1.5, 2 ** 31 + 1, NaN, Infinity])('a standard deviation of %d is refused', (stdDev) => {
  expect(() => sample(stdDev, 1, replayRandom('bounds'))).toThrow(RangeError);
});

test('an empty vector is filled without a word', () => {
  expect(sample(3, 0, scriptedRandom([]))).toHaveLength(0);
});

/**
 * One sample decided by an attempt of our choosing. For one sample 54 words are drawn: this attempt, and 17 that would each
 * give zero (strip 0, offset 0, plus, accepted). The words after them serve the exact comparisons.
 */
const oneSample = (stdDev: number, attempt: readonly [number, number, number], more: readonly number[]) =>
  sample(stdDev, 1, scriptedRandom([...attempt, ...new Array<number>(51).fill(0), ...more]))[0];

// From mpmath: P[strip ≤ 0] = 0x92025b19 482ce72b d40241fe 3d8503e0 · 2^-128, exp(-(5/17)²/2) = 0xf529d355 8962e784 3398fca0 f16235da · 2^-128.
const minusFive = (5 << 1) | 1;
const plusFive = 5 << 1;

test('a word that cannot tell two strips apart is settled by further bits', () => {
  expect(oneSample(17, [0x92025b18, plusFive, 0], [0])).toBe(5);
  expect(oneSample(17, [0x92025b19, plusFive, 0], [0x482ce700])).toBe(5);
  expect(oneSample(17, [0x92025b19, plusFive, 0], [0x482ce7ff])).toBe(17 + 5);
  expect(oneSample(17, [0x92025b19, minusFive, 0], [0xffffffff])).toBe(-17 - 5);
});

test('further bits are drawn until the comparison is certain', () => {
  const first = [0x92025b19, plusFive, 0] as const;
  expect(oneSample(17, first, [0x482ce72b, 0xd40241fe, 0x3d850300])).toBe(5);
  expect(oneSample(17, first, [0x482ce72b, 0xd40241fe, 0x3d8503ff])).toBe(17 + 5);
});

test('the rare word at the end of the table reaches the strips beyond it', () => {
  expect(oneSample(17, [0xffffffff, plusFive, 0], [0])).toBe(6 * 17 + 5);
  expect(oneSample(17, [0xffffffff, plusFive, 0], [0xffffffff, 0, 0])).toBe(9 * 17 + 5);
});

test('an acceptance too close for floating point is settled by further bits', () => {
  const first = [0, plusFive, 0xf529d355] as const;
  expect(oneSample(17, first, [0x8962e700])).toBe(5);
  expect(oneSample(17, first, [0x8962e7ff])).toBe(0); // rejected; the next attempt gives 0
  expect(oneSample(17, first, [0x8962e784, 0x3398fca0, 0xf1623500])).toBe(5);
  expect(oneSample(17, first, [0x8962e784, 0x3398fca0, 0xf16235ff])).toBe(0);
});

test('acceptance with certainty needs no further bits', () => {
  expect(oneSample(17, [0, 0, 0xffffffff], [])).toBe(0);
  expect(Object.is(oneSample(17, [0, 0, 0xffffffff], []), 0)).toBe(true);
});
