const BINS = 24;

/**
 * How far numbers are from a sum of three uniform below `width`, centred: Pearson's χ² over 24 bins of equal width, with
 * 23 degrees of freedom. Above 80 once in 10⁷; Infinity for a number beyond ±3/2 of it.
 */
export function chiSquareOfFlooding(values: readonly bigint[], width = 2 ** 49): number {
  const bins = new Array<number>(BINS).fill(0);
  for (const value of values) {
    const at = ((Number(value) + 1.5 * width) / (3 * width)) * BINS;
    if (at < 0 || at >= BINS) return Infinity;
    bins[Math.floor(at)]!++;
  }
  return bins.reduce((sum, count, bin) => {
    const expected = values.length * (below((3 * (bin + 1)) / BINS) - below((3 * bin) / BINS));
    return sum + (count - expected) ** 2 / expected;
  }, 0);
}

/** Probability that the sum of three numbers uniform in [0, 1) is below x (Irwin–Hall). */
function below(x: number): number {
  if (x <= 1) return x ** 3 / 6;
  if (x <= 2) return (-2 * x ** 3 + 9 * x ** 2 - 9 * x + 3) / 6;
  return 1 - (3 - x) ** 3 / 6;
}
