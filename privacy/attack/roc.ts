/**
 * How well scores tell those present from those absent, threshold by threshold.
 */
export interface Roc {
  /** probability that someone present scores above someone absent, ties half; 0.5 is blind */
  readonly auc: number;
  /** part of the absent above a threshold, and of the present; both ascending from 0 to 1 */
  readonly curve: readonly RatePair[];
}

export interface RatePair {
  readonly falsePositiveRate: number;
  readonly truePositiveRate: number;
}

/** @throws RangeError when a side has no scores */
export function rocOf(present: Float64Array, absent: Float64Array): Roc {
  if (present.length === 0 || absent.length === 0) throw new RangeError('a curve needs scores on both sides');
  const [there, not] = [Float64Array.from(present).sort().reverse(), Float64Array.from(absent).sort().reverse()];
  const curve: RatePair[] = [{ falsePositiveRate: 0, truePositiveRate: 0 }];
  let [hits, alarms, area] = [0, 0, 0];
  while (hits < there.length || alarms < not.length) {
    const threshold = Math.max(there[hits] ?? -Infinity, not[alarms] ?? -Infinity);
    const before = { hits, alarms };
    while (hits < there.length && there[hits]! >= threshold) hits++;
    while (alarms < not.length && not[alarms]! >= threshold) alarms++;
    area += ((alarms - before.alarms) * (hits + before.hits)) / 2;
    curve.push({ falsePositiveRate: alarms / not.length, truePositiveRate: hits / there.length });
  }
  return { auc: area / (there.length * not.length), curve };
}

/**
 * The most of those present that a threshold finds while it errs on at most this part of those absent. With fewer than
 * 1 / falsePositiveRate absent scores that means on none.
 */
export function truePositiveRateAt({ curve }: Roc, falsePositiveRate: number): number {
  return curve.reduce(
    (most, pair) => (pair.falsePositiveRate <= falsePositiveRate ? Math.max(most, pair.truePositiveRate) : most),
    0,
  );
}
