/** How well scores in [0, 1] order and match labels of 0 and 1. NaN where there is nothing to divide by. */
export interface MetricValues {
  readonly customers: number;
  readonly positives: number;
  /** chance that a positive scores above a negative, ties half */
  readonly rocAuc: number;
  /** average precision: Σ precision · gain in recall from the highest score down */
  readonly prAuc: number;
  /** at threshold 0.5, where a score of 0.5 counts as positive; so are recall and f1 */
  readonly accuracy: number;
  readonly recall: number;
  readonly f1: number;
  /** expected calibration error: mean |share of positives − mean score| over eight equal ranges of scores */
  readonly calibrationError: number;
}

/** Ranges of scores in the calibration error. */
export const calibrationGroups = 8;

/** Customers with one score, or with scores in one bin: a tie. May be negative where noise is in it. */
interface Tie {
  readonly score: number;
  readonly positives: number;
  readonly negatives: number;
}

/**
 * Metrics of scores that may be seen: a tenant's own, a test's, a demonstration's. Never of several tenants' together.
 *
 * @throws RangeError when the lengths differ
 */
export function exactMetrics(scores: Float32Array, labels: Float32Array): MetricValues {
  if (scores.length !== labels.length) throw new RangeError('scores and labels must be of the same customers');
  const order = [...scores.keys()].sort((a, b) => scores[a]! - scores[b]!);
  const ties: { score: number; positives: number; negatives: number }[] = [];
  for (const i of order) {
    if (ties.at(-1)?.score !== scores[i]!) ties.push({ score: scores[i]!, positives: 0, negatives: 0 });
    if (labels[i] === 1) ties.at(-1)!.positives += 1;
    else ties.at(-1)!.negatives += 1;
  }
  return metricsOf(ties, 0);
}

/**
 * Metrics of a histogram: negatives' bins, then positives', each over equal ranges of the score from 0 to 1.
 *
 * @param noiseStdDev - σ of each count; what it adds to the calibration error on average is taken out
 */
export function histogramMetrics(histogram: Float64Array, noiseStdDev: number): MetricValues {
  const bins = histogram.length / 2;
  const ties = Array.from({ length: bins }, (_, bin) => ({
    score: (bin + 0.5) / bins,
    negatives: histogram[bin]!,
    positives: histogram[bins + bin]!,
  }));
  return metricsOf(ties, noiseStdDev);
}

/** @param ties - in ascending order of score */
function metricsOf(ties: readonly Tie[], noiseStdDev: number): MetricValues {
  const positives = sum(ties, (tie) => tie.positives);
  const negatives = sum(ties, (tie) => tie.negatives);
  const above = ties.filter((tie) => tie.score >= 0.5);
  const truePositives = sum(above, (tie) => tie.positives);
  const falsePositives = sum(above, (tie) => tie.negatives);
  const customers = positives + negatives;
  return {
    customers,
    positives,
    rocAuc: share(concordant(ties), positives * negatives),
    prAuc: share(precisionGains(ties), positives),
    accuracy: share(truePositives + negatives - falsePositives, customers),
    recall: share(truePositives, positives),
    f1: share(2 * truePositives, truePositives + falsePositives + positives),
    calibrationError: share(calibrationGap(ties, noiseStdDev), customers),
  };
}

/** Pairs of a positive above a negative, ties half. */
function concordant(ties: readonly Tie[]): number {
  let below = 0;
  let pairs = 0;
  for (const { positives, negatives } of ties) {
    pairs += positives * (below + negatives / 2);
    below += negatives;
  }
  return pairs;
}

/** Σ precision at each score · positives there, from the highest score down. */
function precisionGains(ties: readonly Tie[]): number {
  let truePositives = 0;
  let predicted = 0;
  let gains = 0;
  for (const { positives, negatives } of ties.toReversed()) {
    truePositives += positives;
    predicted += positives + negatives;
    gains += positives * (predicted > 0 ? clamp(truePositives / predicted) : 0);
  }
  return gains;
}

/** Σ over the groups of |positives − Σ scores|, in customers. */
function calibrationGap(ties: readonly Tie[], noiseStdDev: number): number {
  const gaps = new Float64Array(calibrationGroups);
  const variances = new Float64Array(calibrationGroups);
  for (const { score, positives, negatives } of ties) {
    const group = Math.min(calibrationGroups - 1, Math.floor(score * calibrationGroups));
    gaps[group]! += positives * (1 - score) - negatives * score;
    variances[group]! += noiseStdDev ** 2 * ((1 - score) ** 2 + score ** 2);
  }
  // E gap² = true gap² + the noise's variance
  return gaps.reduce((total, gap, group) => total + Math.sqrt(Math.max(0, gap * gap - variances[group]!)), 0);
}

function share(part: number, whole: number): number {
  return whole > 0 ? clamp(part / whole) : Number.NaN;
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}

function sum(ties: readonly Tie[], of: (tie: Tie) => number): number {
  return ties.reduce((total, tie) => total + of(tie), 0);
}
