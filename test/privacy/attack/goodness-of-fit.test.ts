import { describe, expect, test } from 'vitest';
import {
  chiSquareP,
  discreteGaussianCdf,
  kolmogorovSmirnovP,
  varianceP,
} from '../../../privacy/attack/goodness-of-fit.ts';
import { discreteGaussian } from '../../../privacy/discrete-gaussian.ts';
import { replayRandom } from '../replay-random.ts';
import { discreteGaussianPmf } from '../statistics.ts';

const drawn = (stdDev: number, count: number, seed: string): Float64Array => {
  const into = new Float64Array(count);
  discreteGaussian(stdDev, into, replayRandom(seed));
  return into;
};

test.each([1, 2.5, 6, 63, 65, 1000.5])('the cumulative probabilities are sums of the exact ones, σ = %d', (stdDev) => {
  const cdf = discreteGaussianCdf(stdDev);
  const reach = Math.ceil(40 * stdDev);
  const pmf = discreteGaussianPmf(stdDev, reach);
  let [sum, worst] = [0, 0];
  for (let i = 0; i < pmf.length; i++) {
    sum += pmf[i]!;
    worst = Math.max(worst, Math.abs(sum - cdf(i - reach)));
  }
  expect(worst).toBeLessThan(1e-9);
  expect([cdf(-reach - 5), cdf(reach + 5)]).toEqual([0, 1]);
});

const tests = { 'chi-square': chiSquareP, 'Kolmogorov and Smirnov': kolmogorovSmirnovP };

describe.each(Object.entries({ ...tests, variance: varianceP }))('%s', (_, pOf) => {
  test('gives p-values that are themselves spread evenly for the right noise', () => {
    const ps = Array.from({ length: 300 }, (_, run) => pOf(drawn(1000, 500, `even ${run}`), 1000));
    for (const level of [0.1, 0.5, 0.9]) {
      const below = ps.filter((p) => p < level).length;
      expect(Math.abs(below - 300 * level)).toBeLessThan(4 * Math.sqrt(300 * level * (1 - level)));
    }
  });

  test.each([6, 1000, 2 ** 30])('accepts the sampler at σ = %d', (stdDev) => {
    expect(pOf(drawn(stdDev, 50_000, `accept ${stdDev}`), stdDev)).toBeGreaterThan(1e-3);
  });

  test('refuses 6 % too little, 6 % too much, and none', () => {
    const right = drawn(1000, 50_000, 'refuse');
    expect(pOf(right, 1060)).toBeLessThan(1e-6);
    expect(pOf(right, 940)).toBeLessThan(1e-6);
    expect(pOf(new Float64Array(1000), 1000)).toBeLessThan(1e-9);
  });
});

test.each(Object.entries(tests))('%s refuses a shift of 6 %, and noise of two widths', (_, pOf) => {
  const right = drawn(1000, 50_000, 'refuse');
  const wide = drawn(1300, 25_000, 'wide');
  const narrow = drawn(557, 25_000, 'narrow'); // together the variance of σ = 1000
  expect(
    pOf(
      right.map((x) => x + 60),
      1000,
    ),
  ).toBeLessThan(1e-6);
  expect(pOf([...wide, ...narrow], 1000)).toBeLessThan(1e-6);
  expect(varianceP([...wide, ...narrow], 1000)).toBeGreaterThan(1e-3);
});

test('p-values of known statistics are right', () => {
  // scipy: 2 · norm.sf of Wilson and Hilferty for Σ x² = 140 on 100 degrees; chi2.sf(140, 100) = 0.00513
  const hundred = Array.from({ length: 100 }, (_, i) => (i % 2 ? 1 : -1) * Math.sqrt(1.4) * 1e6);
  expect(varianceP(hundred, 1e6) / 2).toBeCloseTo(0.00513, 4);
  // One sample at the median is 1/2 from both sides: D = 0.5, x = (1 + 0.12 + 0.11) · 0.5 = 0.615, P[K > 0.615] = 0.8438.
  expect(kolmogorovSmirnovP([0], 1e9)).toBeCloseTo(0.8438, 3);
});

test('too few samples, and a σ below one, are refused', () => {
  expect(() => chiSquareP(new Float64Array(19), 10)).toThrow('at least 20 samples');
  expect(() => kolmogorovSmirnovP([], 10)).toThrow(RangeError);
  expect(() => varianceP([], 10)).toThrow(RangeError);
  expect(() => discreteGaussianCdf(0.5)).toThrow(RangeError);
  expect(() => discreteGaussianCdf(Infinity)).toThrow(RangeError);
});
