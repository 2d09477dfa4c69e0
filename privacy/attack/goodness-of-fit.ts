/**
 * Is this the noise that was promised? Integer samples against the exact discrete Gaussian D_Z(0, σ²).
 *
 * Three tests that see different things: the variance a wrong amount, chi-square a wrong shape in cells, Kolmogorov and
 * Smirnov a shift anywhere. A p-value here is the chance that the promised noise looks as odd as this or odder.
 */
import { normalQuantile, normalTail } from '../normal.ts';

/** P[X ≤ k] of D_Z(0, σ²), for integers k and any σ ≥ 1. Absolute error below 1e-7 · σ^-2. */
export type Cdf = (k: number) => number;

/** Below this σ probabilities are added one by one. */
const SMALL = 64;

/**
 * The cumulative probabilities of D_Z(0, stdDev²).
 *
 * For a large σ a sum of φ over integers is the integral between the half-integers less its first Euler–Maclaurin
 * correction, φ′/24 at the upper end; the next is of order σ^-4.
 *
 * @param stdDev - in grid steps, at least 1, not necessarily an integer: sums of shares have σ·√n
 * @throws RangeError when stdDev is below 1
 */
export function discreteGaussianCdf(stdDev: number): Cdf {
  if (!(stdDev >= 1 && stdDev < Infinity)) throw new RangeError(`stdDev must be at least 1, got ${stdDev}`);
  if (stdDev < SMALL) return summed(stdDev);
  return (k) => {
    const x = (k + 0.5) / stdDev;
    const slope = (-x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
    return Math.min(1, Math.max(0, normalTail(-x) - slope / (24 * stdDev * stdDev)));
  };
}

function summed(stdDev: number): Cdf {
  const reach = Math.ceil(40 * stdDev);
  const sums = new Float64Array(2 * reach + 1);
  let sum = 0;
  for (let i = 0; i < sums.length; i++) {
    sum += Math.exp(-(((i - reach) / stdDev) ** 2) / 2);
    sums[i] = sum;
  }
  return (k) => (k < -reach ? 0 : (sums[Math.min(k + reach, sums.length - 1)] ?? sum) / sum);
}

/**
 * The samples' mean square beside σ²: what sees a wrong number of shares with the fewest samples. Two-sided.
 *
 * @param samples - integers
 * @returns the p-value, taking Σ x²/σ² as chi-square, which for σ ≥ 6 it is to many digits
 * @throws RangeError when there are no samples
 */
export function varianceP(samples: ArrayLike<number>, stdDev: number): number {
  if (samples.length === 0) throw new RangeError('there are no samples to test');
  let sum = 0;
  for (let i = 0; i < samples.length; i++) sum += (samples[i]! / stdDev) ** 2;
  return Math.min(1, 2 * normalTail(Math.abs(asNormal(sum, samples.length))));
}

/** Most cells of a chi-square, and fewest samples expected in one. */
const [MOST_CELLS, LEAST_EXPECTED] = [64, 10];

/**
 * Pearson's chi-square in up to 64 cells of nearly equal probability.
 *
 * @param samples - integers
 * @returns the p-value, by Wilson and Hilferty's approximation (1931): good to a few per cent down to 1e-9
 * @throws RangeError when there are fewer than 20 samples, or stdDev is below 1
 */
export function chiSquareP(samples: ArrayLike<number>, stdDev: number): number {
  const cells = Math.min(MOST_CELLS, Math.floor(samples.length / LEAST_EXPECTED));
  if (cells < 2) throw new RangeError(`a chi-square needs at least 20 samples, got ${samples.length}`);
  const cdf = discreteGaussianCdf(stdDev);
  const edges = edgesOf(cells, stdDev);
  const counts = new Float64Array(edges.length + 1);
  for (let i = 0; i < samples.length; i++) counts[cellOf(edges, samples[i]!)]! += 1;
  const upTo = [0, ...edges.map(cdf), 1];
  const chiSquare = counts.reduce((sum, count, cell) => {
    const expected = (upTo[cell + 1]! - upTo[cell]!) * samples.length;
    return sum + (count - expected) ** 2 / expected;
  }, 0);
  return normalTail(asNormal(chiSquare, counts.length - 1));
}

/** A chi-square variable as a standard normal one (Wilson and Hilferty 1931). */
function asNormal(chiSquare: number, degrees: number): number {
  const spread = 2 / (9 * degrees);
  return (Math.cbrt(chiSquare / degrees) - 1 + spread) / Math.sqrt(spread);
}

/** Last integers of all cells but the last, ascending. */
function edgesOf(cells: number, stdDev: number): number[] {
  const quantiles = Array.from({ length: cells - 1 }, (_, i) => Math.round(stdDev * normalQuantile((i + 1) / cells)));
  return [...new Set(quantiles)];
}

function cellOf(edges: readonly number[], sample: number): number {
  let [low, high] = [0, edges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sample <= edges[middle]!) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Kolmogorov and Smirnov: the largest distance between the samples' distribution and the promised one.
 *
 * @param samples - integers
 * @returns the p-value, from the limiting distribution with Stephens' correction (1970); for a σ of few steps it errs upwards
 * @throws RangeError when there are no samples, or stdDev is below 1
 */
export function kolmogorovSmirnovP(samples: ArrayLike<number>, stdDev: number): number {
  const count = samples.length;
  if (count === 0) throw new RangeError('there are no samples to test');
  const cdf = discreteGaussianCdf(stdDev);
  const sorted = Float64Array.from(samples).sort();
  let distance = 0;
  for (let i = 0; i < count; i++) {
    const value = sorted[i]!;
    if (value !== sorted[i + 1]) distance = Math.max(distance, Math.abs((i + 1) / count - cdf(value)));
    if (value !== sorted[i - 1]) distance = Math.max(distance, Math.abs(i / count - cdf(value - 1)));
  }
  const root = Math.sqrt(count);
  return kolmogorovTail((root + 0.12 + 0.11 / root) * distance);
}

/** P[K > x] of the Kolmogorov distribution. */
function kolmogorovTail(x: number): number {
  if (x < 0.2) return 1; // 1 − 5e-12; the series below would take ever more terms
  let tail = 0;
  for (let k = 1; k <= 40; k++) tail += (k % 2 === 1 ? 2 : -2) * Math.exp(-2 * k * k * x * x);
  return Math.min(1, Math.max(0, tail));
}
