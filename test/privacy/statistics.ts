/** The probabilities of D_Z(0, stdDev²) at −reach…reach. */
export function discreteGaussianPmf(stdDev: number, reach: number): Float64Array {
  const weights = Float64Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-(((i - reach) / stdDev) ** 2) / 2));
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / all);
}

/**
 * Pearson's chi-square of integer samples against a pmf on −reach…reach, as a standard normal (Wilson and Hilferty 1931).
 * Neighbouring cells are merged until each expects 10 samples.
 */
export function chiSquareZ(samples: ArrayLike<number>, pmf: Float64Array): number {
  const reach = (pmf.length - 1) / 2;
  const counts = new Float64Array(pmf.length);
  for (let i = 0; i < samples.length; i++) counts[samples[i]! + reach]!++;
  return chiSquareOfCounts(counts, pmf);
}

/** The same, of how often each of the outcomes was seen. */
export function chiSquareOfCounts(counts: Float64Array, pmf: Float64Array): number {
  const samples = counts.reduce((sum, count) => sum + count, 0);
  const cells: { expected: number; observed: number }[] = [];
  let [expected, observed] = [0, 0];
  for (let i = 0; i < pmf.length; i++) {
    expected += pmf[i]! * samples;
    observed += counts[i]!;
    if (expected < 10) continue;
    cells.push({ expected, observed });
    [expected, observed] = [0, 0];
  }
  const last = cells.at(-1)!;
  last.expected += expected;
  last.observed += observed;
  const chiSquare = cells.reduce((sum, cell) => sum + (cell.observed - cell.expected) ** 2 / cell.expected, 0);
  const spread = 2 / (9 * (cells.length - 1));
  return (Math.cbrt(chiSquare / (cells.length - 1)) - 1 + spread) / Math.sqrt(spread);
}

/** Σ f(x)·P[x] over the pmf's range. */
export function expectation(pmf: Float64Array, f: (x: number) => number): number {
  const reach = (pmf.length - 1) / 2;
  return pmf.reduce((sum, p, i) => sum + p * f(i - reach), 0);
}

export function mean(values: ArrayLike<number>, f: (x: number, i: number) => number): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += f(values[i]!, i);
  return sum / values.length;
}

/** P[N(0, 1) > x], absolute error below 1e-13: Simpson's rule. */
export function normalTail(x: number): number {
  if (x < 0) return 1 - normalTail(-x);
  const [steps, width] = [2000, 12];
  let sum = 0;
  for (let i = 0; i <= steps; i++) {
    const weight = i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2;
    sum += weight * Math.exp(-((x + (i * width) / steps) ** 2) / 2);
  }
  return (sum * width) / steps / 3 / Math.sqrt(2 * Math.PI);
}

/** Pearson's correlation of two series of the same length; times √n, standard normal when they are independent. */
export function correlation(xs: Float64Array, ys: Float64Array): number {
  const [x0, y0] = [mean(xs, (x) => x), mean(ys, (y) => y)];
  const [xx, yy] = [mean(xs, (x) => (x - x0) ** 2), mean(ys, (y) => (y - y0) ** 2)];
  return mean(xs, (x, i) => (x - x0) * (ys[i]! - y0)) / Math.sqrt(xx * yy);
}
