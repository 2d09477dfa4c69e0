/**
 * An estimate of ε: two Gaussians of one width are laid over the scores of those present and those absent, and their distance
 * is priced.
 *
 * No bound. It is as right as scores are Gaussian, and its interval says only how much another run might differ. It sees
 * small effects that guesses cannot show, which is why it stands beside the bounds.
 */
import { gaussianEpsilon } from '../normal.ts';
import type { RandomSource } from '../random.ts';

export interface GaussianFit {
  /** distance of the two means in standard deviations; 0 when those present score lower */
  readonly mu: number;
  /** ε of that distance, at δ */
  readonly epsilon: number;
  /** where the middle `confidence` of the resamples' ε lie */
  readonly interval: readonly [low: number, high: number];
}

/** Times the scores are drawn again from themselves. */
const RESAMPLES = 1000;

/**
 * @param present - scores of the canaries that were there
 * @param absent - scores of those that were not
 * @param confidence - of the interval, in (0, 1)
 * @throws RangeError when fewer than two scores are on a side, or confidence or delta is out of range
 * @see Efron, Tibshirani 1993, An Introduction to the Bootstrap, §13.3: the percentile interval
 */
export function gaussianFit(
  present: Float64Array,
  absent: Float64Array,
  { delta, confidence, random }: { delta: number; confidence: number; random: RandomSource },
): GaussianFit {
  if (present.length < 2 || absent.length < 2)
    throw new RangeError(`a fit needs two scores on each side, got ${present.length} and ${absent.length}`);
  if (!(confidence > 0 && confidence < 1)) throw new RangeError(`confidence must lie in (0, 1), got ${confidence}`);
  if (!(delta > 0 && delta < 1)) throw new RangeError(`delta must lie in (0, 1), got ${delta}`);
  const again = Array.from({ length: RESAMPLES }, () =>
    distance(resampled(present, random), resampled(absent, random)),
  ).sort((a, b) => a - b);
  const epsilonAt = (part: number): number => gaussianEpsilon(again[Math.round(part * (RESAMPLES - 1))]!, delta);
  const mu = distance(present, absent);
  const outside = (1 - confidence) / 2;
  return { mu, epsilon: gaussianEpsilon(mu, delta), interval: [epsilonAt(outside), epsilonAt(1 - outside)] };
}

/** (mean − mean) / pooled standard deviation, at least 0. Scores that do not vary are as far apart as can be said. */
function distance(present: Float64Array, absent: Float64Array): number {
  const [a, b] = [moments(present), moments(absent)];
  const pooled = (a.squares + b.squares) / (present.length + absent.length - 2);
  return a.mean <= b.mean ? 0 : Math.min(1e3, (a.mean - b.mean) / Math.sqrt(pooled));
}

function moments(values: Float64Array): { mean: number; squares: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, squares: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) };
}

function resampled(values: Float64Array, random: RandomSource): Float64Array {
  const words = new Uint32Array(values.length);
  random.fill(words);
  return Float64Array.from(words, (word) => values[Math.floor((word / 2 ** 32) * values.length)]!);
}
