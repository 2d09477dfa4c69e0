// The statements of privacy/DISCRETE-GAUSSIAN.md, in numbers.
import { expect, test } from 'vitest';
import { continuousMultiplier } from '../../privacy/mixture.ts';
import { discreteGaussianPmf, normalTail } from './statistics.ts';

/** δ(ε) between f and g on the integers: Σ max(0, f − e^ε·g). */
const hockeyStick = (f: (k: number) => number, g: (k: number) => number, epsilon: number, reach: number): number => {
  let sum = 0;
  for (let k = -reach; k <= reach; k++) sum += Math.max(0, f(k) - Math.exp(epsilon) * g(k));
  return sum;
};

/** δ(ε) of the Poisson-sampled discrete Gaussian, whole sums that one customer moves by `shift`, both directions. */
function discreteDelta(stdDev: number, shift: number, q: number, epsilon: number): number {
  const reach = 15 * stdDev + shift;
  const pmf = discreteGaussianPmf(stdDev, reach);
  const without = (k: number) => pmf[k + reach] ?? 0;
  const mixture = (k: number) => (1 - q) * without(k) + q * without(k - shift);
  return Math.max(hockeyStick(mixture, without, epsilon, reach), hockeyStick(without, mixture, epsilon, reach));
}

/** δ(ε) of the Poisson-sampled continuous Gaussian with multiplier z, in closed form, both directions. */
function continuousDelta(z: number, q: number, epsilon: number): number {
  const tail = (x: number, centre: number) => normalTail((x - centre) / z);
  /** the x where (mixture / without) is `ratio` */
  const crossing = (ratio: number) => z * z * Math.log1p((ratio - 1) / q) + 0.5;
  const up = crossing(Math.exp(epsilon));
  const remove = (1 - q - Math.exp(epsilon)) * tail(up, 0) + q * tail(up, 1);
  if (Math.exp(-epsilon) <= 1 - q) return remove; // the ratio never gets so small
  const down = crossing(Math.exp(-epsilon));
  const add = (x: number) => 1 - tail(down, x);
  return Math.max(remove, add(0) - Math.exp(epsilon) * ((1 - q) * add(0) + q * add(1)));
}

const cases = [2, 5, 16, 64].flatMap((stdDev) =>
  [0.25, 1, 2].flatMap((ratio) =>
    [0.1, 1, 2, 4].flatMap((epsilon) =>
      [1, 0.3, 0.02].map((q) => ({ stdDev, shift: Math.ceil(ratio * stdDev), epsilon, q })),
    ),
  ),
);

test('discrete noise is no worse than continuous noise of variance σ² − 1.5², sampled or not', () => {
  let closest = Infinity;
  for (const { stdDev, shift, epsilon, q } of cases) {
    const discrete = discreteDelta(stdDev, shift, q, epsilon);
    const continuous = continuousDelta(Math.sqrt(stdDev ** 2 - 1.5 ** 2) / shift, q, epsilon);
    expect(discrete, JSON.stringify({ stdDev, shift, epsilon, q })).toBeLessThanOrEqual(continuous + 1e-12);
    if (continuous > 1e-6) closest = Math.min(closest, continuous / discrete);
  }
  expect(closest).toBeLessThan(1.01); // the bound is not only true but tight
});

test('the multiplier the accountant uses is on the safe side of the discrete mechanism', () => {
  for (const { stdDev, shift, epsilon, q } of cases.filter((each) => each.stdDev > 4)) {
    const z = continuousMultiplier({ type: 'DiscreteGaussian', noiseVariance: stdDev ** 2, sensitivity: shift });
    expect(discreteDelta(stdDev, shift, q, epsilon)).toBeLessThanOrEqual(continuousDelta(z, q, epsilon) + 1e-12);
  }
});

test('a known value agrees with the reference: σ = Δ = 64, ε = 2', () => {
  expect(discreteDelta(64, 64, 1, 2)).toBeCloseTo(2.0921e-2, 7);
  expect(continuousDelta(1, 1, 2)).toBeCloseTo(2.09236e-2, 7);
  expect(continuousDelta(Math.sqrt(64 ** 2 - 1.5 ** 2) / 64, 1, 2)).toBeCloseTo(2.09592e-2, 7);
});

test('two shares of σ = 6 are one discrete Gaussian to the last bit; two of σ = 1 are not', () => {
  const farthest = (stdDev: number) => {
    const reach = 12 * stdDev;
    const share = discreteGaussianPmf(stdDev, reach);
    const one = discreteGaussianPmf(Math.SQRT2 * stdDev, reach);
    let worst = 0;
    for (let k = -4 * stdDev; k <= 4 * stdDev; k++) {
      let sum = 0;
      for (let j = -reach; j <= reach; j++) sum += (share[j + reach] ?? 0) * (share[k - j + reach] ?? 0);
      worst = Math.max(worst, Math.abs(sum / one[k + reach]! - 1));
    }
    return worst;
  };
  expect(farthest(6)).toBeLessThan(1e-13);
  expect(farthest(1)).toBeGreaterThan(5e-5);
});
