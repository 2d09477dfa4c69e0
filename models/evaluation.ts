import type { CustomerVectors } from './customer-vectors.ts';
import { type Encoded, rowsOfCustomer } from './encoded.ts';
import { calibrationGroups, histogramMetrics, type MetricValues } from './metrics.ts';

/**
 * Evaluation from one secure sum. Each held-out customer adds 1 to one cell of a histogram of scores, label × bin: a
 * vector of norm 1, whatever the number of bins.
 *
 *   cell = label · bins + ⌊score · bins⌋
 *
 * Everything after the sum is arithmetic on public numbers and costs no further privacy.
 *
 * Fewer bins carry less noise in total; more blur less. Scores in one bin are ties and stand for its middle: ROC-AUC
 * is off by at most half of Σ_bin P(bin | positive) · P(bin | negative), and far less where scores spread evenly; the
 * calibration error is off by at most half a bin's width.
 */
export type Metrics = { readonly [name in keyof MetricValues]: Metric };

/**
 * A value and its 95 % half-width from the known noise alone: the chance of who the held-out customers are is not in
 * it. NaN where the noise left nothing to divide by.
 */
export interface Metric {
  readonly value: number;
  readonly plusMinus: number;
}

/** Bins of the score for each label; every plan's number must be a multiple of 8. */
export const defaultBins = 16;

/** Norm of one customer's vector. */
export const evaluationNorm = 1;

/** Times the noise is drawn again for the half-widths. */
const bootstraps = 200;

/**
 * One score and label for each customer: the mean score of its rows; positive when any of its rows is.
 *
 * @param rowScores - one for each row of `encoded`
 * @throws RangeError when `encoded` has no labels
 */
export function customerScores(
  encoded: Encoded,
  rowScores: Float32Array,
  customers: Int32Array,
): { readonly scores: Float32Array; readonly labels: Float32Array } {
  const { labels } = encoded;
  if (labels === null) throw new RangeError('evaluation needs labels: name the label column in the schema');
  const meanScore = (rows: Int32Array) => rows.reduce((sum, row) => sum + rowScores[row]!, 0) / rows.length;
  const anyPositive = (rows: Int32Array) => Number(rows.some((row) => labels[row] === 1));
  return {
    scores: Float32Array.from(customers, (customer) => meanScore(rowsOfCustomer(encoded, customer))),
    labels: Float32Array.from(customers, (customer) => anyPositive(rowsOfCustomer(encoded, customer))),
  };
}

/**
 * What each evaluated customer adds to the histogram. A score that is not a number in [0, 1] adds nothing.
 *
 * @param scores - one per customer
 * @param labels - 0 or 1 per customer
 * @param slots - the batch's size, at least the number of customers; slots above read as zero
 * @throws RangeError when the customers do not fit, or bins is not a positive multiple of 8
 */
export function histogramVectors(
  scores: Float32Array,
  labels: Float32Array,
  slots: number,
  bins: number = defaultBins,
): CustomerVectors {
  checkBins(bins);
  if (scores.length !== labels.length) throw new RangeError('scores and labels must be of the same customers');
  if (scores.length > slots) throw new RangeError(`a batch holds at most ${slots} customers`);
  return {
    count: slots,
    dimension: 2 * bins,
    read(index, into) {
      into.fill(0);
      const score = scores[index] ?? Number.NaN;
      if (score >= 0 && score <= 1) into[labels[index]! * bins + Math.min(bins - 1, Math.floor(score * bins))] = 1;
    },
  };
}

/**
 * Metrics of an opened histogram, with half-widths by parametric bootstrap: noise of the same σ is added to the
 * histogram again and again, and the spread of the metrics taken. Deterministic.
 *
 * @param histogram - noisy counts in customers, length 2 · bins
 * @param noiseStdDev - σ of each count; 0 gives half-widths of 0
 * @param seed - of the bootstrap, an integer
 * @throws RangeError when the length is not twice a multiple of 8
 */
export function metricsFromHistogram(histogram: Float64Array, noiseStdDev: number, seed: number): Metrics {
  checkBins(histogram.length / 2);
  const gaussian = seededGaussian(seed);
  const values = histogramMetrics(histogram, noiseStdDev);
  const again = Array.from({ length: noiseStdDev > 0 ? bootstraps : 0 }, () => {
    const noisier = histogram.map((count) => count + noiseStdDev * gaussian());
    // twice the variance: its own noise and the one added now
    return histogramMetrics(noisier, noiseStdDev * Math.SQRT2);
  });
  const names = Object.keys(values) as (keyof MetricValues)[];
  const metric = (name: keyof MetricValues): Metric => ({
    value: values[name],
    plusMinus: 1.96 * standardDeviation(again.map((one) => one[name])),
  });
  return Object.fromEntries(names.map((name) => [name, metric(name)])) as Metrics;
}

function checkBins(bins: number): void {
  // so that 0.5 and the edges of the calibration groups are edges of bins
  if (!(bins > 0 && bins % calibrationGroups === 0)) {
    throw new RangeError(`bins must be a positive multiple of ${calibrationGroups}, got ${bins}`);
  }
}

function standardDeviation(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}

/** Normal deviates by Box–Muller over mulberry32. For error bars only: protects nothing. */
function seededGaussian(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) * 2 ** -32;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}
