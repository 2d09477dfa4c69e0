import fc from 'fast-check';
import { expect, test } from 'vitest';
import { discreteGaussian } from '../../privacy/discrete-gaussian.ts';
import type { RandomSource } from '../../privacy/random.ts';
import { acceptance, attemptOf, exactSamples, stripAtMost } from './exact-sampler.ts';
import { replayRandom, scriptedRandom } from './replay-random.ts';
import { chiSquareOfCounts, chiSquareZ, correlation, discreteGaussianPmf, expectation, mean } from './statistics.ts';
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
    expect(exactSamples(stdDev, script, 100)).toEqual(samples);
  },
);

const stdDevs = fc.oneof(
  fc.integer({ min: 1, max: 64 }),
  fc.integer({ min: 1, max: 2 ** 31 }),
  fc.integer({ min: 1, max: 31 }).chain((e) => fc.constantFrom(2 ** e, 2 ** e - 1, Math.min(2 ** e + 1, 2 ** 31))),
);

test('whatever the words and σ, the samples are those of exact arithmetic', () => {
  fc.assert(
    fc.property(stdDevs, fc.string(), (stdDev, seed) => {
      const words = new Uint32Array(3 * 96);
      replayRandom(seed).fill(words);
      expect([...sample(stdDev, 20, replayRandom(seed))]).toEqual(exactSamples(stdDev, [...words], 20));
    }),
    { numRuns: 300 },
  );
});

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

test.each([2, 3, 4, 7])('%i shares of σ = 6 add up to one discrete Gaussian of √n times the σ', (n) => {
  const random = replayRandom('shares');
  const sum = new Float64Array(SAMPLES);
  for (let k = 0; k < n; k++) for (const [i, x] of sample(6, SAMPLES, random).entries()) sum[i]! += x;
  expect(chiSquareZ(sum, discreteGaussianPmf(6 * Math.sqrt(n), reachOf(6 * n)))).toBeLessThan(4.75);
});

test('the shares of two tenants are uncorrelated, in value and in size, also one coordinate apart', () => {
  const [ours, theirs] = ['ours', 'theirs'].map((seed) => sample(9, SAMPLES, replayRandom(seed)));
  const one = replayRandom('both'); // two tenants of one process
  const [first, second] = [sample(9, SAMPLES, one), sample(9, SAMPLES, one)];
  for (const [a, b] of [
    [ours!, theirs!],
    [first, second],
  ] as const)
    for (const shift of [0, 1]) {
      const [x, y] = [a.slice(shift), b.slice(0, SAMPLES - shift)];
      const square = (value: number) => value * value;
      expect(Math.abs(correlation(x, y)) * Math.sqrt(SAMPLES)).toBeLessThan(4.9);
      expect(Math.abs(correlation(x.map(square), y.map(square))) * Math.sqrt(SAMPLES)).toBeLessThan(4.9);
    }
});

test('the sign is fair and independent of the size', () => {
  const samples = sample(5, SAMPLES, replayRandom('sign'));
  for (let size = 1; size <= 12; size++) {
    const [up, down] = [samples.filter((x) => x === size).length, samples.filter((x) => x === -size).length];
    expect(Math.abs(up - down) / Math.sqrt(up + down)).toBeLessThan(4.9);
  }
});

test('the sign is independent of the signs before it', () => {
  const signs = sample(1000, SAMPLES, replayRandom('signs')).map((x) => (x < 0 ? 0 : 1));
  const runs = new Float64Array(16); // four signs in a row, as a number
  for (let i = 0; i + 3 < SAMPLES; i += 4)
    runs[8 * signs[i]! + 4 * signs[i + 1]! + 2 * signs[i + 2]! + signs[i + 3]!]!++;
  const positive = (1 + discreteGaussianPmf(1000, reachOf(1000))[reachOf(1000)]!) / 2; // zero counts as positive
  const chance = Float64Array.from(runs, (_, run) =>
    [8, 4, 2, 1].reduce((p, bit) => p * (run & bit ? positive : 1 - positive), 1),
  );
  expect(chiSquareOfCounts(runs, chance)).toBeLessThan(4.75);
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

test('wherever a number comes as close to its bound as further bits allow, they decide as exact arithmetic does', () => {
  const close = fc.record({
    stdDev: stdDevs.filter((stdDev) => stdDev > 1),
    strip: fc.integer({ min: 0, max: 5 }),
    offset: fc.integer({ min: 1, max: 2 ** 31 }),
    sign: fc.integer({ min: 0, max: 1 }),
    what: fc.constantFrom('strip', 'acceptance'),
    agreeing: fc.integer({ min: 1, max: 5 }), // words that the number has in common with its bound, but for the last bit
    last: fc.bigInt({ min: -1n, max: 1n }),
    rest: fc.constantFrom(0, 0xffffffff),
  });
  fc.assert(
    fc.property(close, ({ stdDev, strip, offset: any, sign, what, agreeing, last, rest }) => {
      const offset = 1 + (any % (stdDev - 1));
      const bound = what === 'strip' ? stripAtMost(strip) : acceptance(stdDev, strip, offset);
      const digits = (bound[0] >> BigInt(320 - 32 * agreeing)) + last;
      const [first, ...more] = [...wordsOf(digits, agreeing), ...new Array<number>(9 - agreeing).fill(rest)];
      const word = 2 * offset + sign;
      const zero = [0, 0, 0, 0, 0, 0, 0, 0, 0];
      if (what === 'strip') {
        const expected = attemptOf(stdDev, [[first!, ...more], word, zero]);
        expect(oneSample(stdDev, [first!, word, 0], more)).toBe(expected ?? 0);
      } else {
        const inside = Number((stripAtMost(strip)[0] - 1n) >> 288n) - 4; // in this strip, and that needs no further bits
        fc.pre(attemptOf(stdDev, [[inside], word, zero]) === (sign ? -1 : 1) * (strip * stdDev + offset));
        const expected = attemptOf(stdDev, [[inside], word, [first!, ...more]]);
        expect(oneSample(stdDev, [inside, word, first!], more)).toBe(expected ?? 0);
      }
    }),
    { numRuns: 2000 },
  );
});

const wordsOf = (digits: bigint, count: number): number[] =>
  Array.from({ length: count }, (_, i) => Number((digits >> BigInt(32 * (count - 1 - i))) & 0xffffffffn));

test('acceptance with certainty needs no further bits', () => {
  expect(oneSample(17, [0, 0, 0xffffffff], [])).toBe(0);
  expect(Object.is(oneSample(17, [0, 0, 0xffffffff], []), 0)).toBe(true);
});

/** How many attempts the first sample takes when these words come first; undefined when it takes more than they are. */
function attemptsFor(stdDev: number, words: readonly number[]): number | undefined {
  for (let attempts = 1; 3 * attempts <= words.length; attempts++) {
    const refused = [0, 1, 0]; // −0
    const rest = Array.from({ length: 18 - attempts }, () => refused).flat();
    try {
      sample(stdDev, 1, scriptedRandom([...words.slice(0, 3 * attempts), ...rest]));
      return attempts;
    } catch {} // nothing yet: it asked for another 18 attempts
  }
  return undefined;
}

/** P[an attempt gives a sample] */
function yieldOf(stdDev: number): number {
  const weight = (x: number, width: number) => Math.exp(-((x / width) ** 2) / 2);
  const sum = (width: number, from: number) =>
    Array.from({ length: 40 * width + 1 }, (_, x) => (x >= from ? weight(x, width) : 0)).reduce((a, b) => a + b);
  const offsets = 2 ** Math.ceil(Math.log2(stdDev));
  return (sum(stdDev, 0) + sum(stdDev, 1)) / (2 * offsets * sum(1, 0));
}

test.each([1, 5, 16])('the words a sample takes follow the geometric law, whatever the sample is: σ = %i', (stdDev) => {
  const [most, samples] = [18, 20_000];
  const random = replayRandom(`attempts ${stdDev}`);
  const words = new Uint32Array(3 * most);
  const [counts, taken, sizes] = [new Float64Array(most + 1), new Float64Array(samples), new Float64Array(samples)];
  for (let i = 0; i < samples; i++) {
    random.fill(words);
    const attempts = attemptsFor(stdDev, [...words]) ?? most + 1;
    counts[attempts - 1]!++;
    taken[i] = attempts;
    sizes[i] = attempts > most ? 0 : Math.abs(sample(stdDev, 1, scriptedRandom([...words]))[0]!);
  }
  const success = yieldOf(stdDev);
  const law = counts.map((_, i) => (1 - success) ** i * (i < most ? success : 1));
  expect(chiSquareOfCounts(counts, law)).toBeLessThan(4.75);
  expect(Math.abs(correlation(taken, sizes)) * Math.sqrt(samples)).toBeLessThan(4.9);
});

test.each([1, 5, 16, 1000])('a long vector takes as many words as the geometric law says, σ = %i', (stdDev) => {
  let asked = 0;
  const random = replayRandom(`consumption ${stdDev}`);
  sample(stdDev, SAMPLES, {
    kind: 'replay',
    fill(words) {
      asked += words.length;
      random.fill(words);
    },
  });
  const success = yieldOf(stdDev);
  const spread = Math.sqrt(SAMPLES * (1 - success)) / success;
  const batch = 4096; // the last one is not used up
  expect(asked / 3 - SAMPLES / success).toBeGreaterThan(-4.9 * spread);
  expect(asked / 3 - SAMPLES / success).toBeLessThan(4.9 * spread + batch);
});
