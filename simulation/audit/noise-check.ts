import { chiSquareP, kolmogorovSmirnovP, varianceP } from '../../privacy/attack/goodness-of-fit.ts';
import { normalQuantile } from '../../privacy/normal.ts';
import type { OpenedSums } from './canary-run.ts';

/**
 * Is the noise in the opened sums the noise that was promised? Where nobody has a gradient a sum is nothing but noise: one
 * discrete Gaussian whose variance is that of all shares together (DISCRETE-GAUSSIAN.md, part 3).
 */
export interface NoiseCheck {
  /** values that were compared */
  readonly values: number;
  readonly varianceP: number;
  readonly chiSquareP: number;
  readonly kolmogorovSmirnovP: number;
  /** largest correlation of any two rounds, in standard deviations of unrelated ones; 0 when there is one round only */
  readonly correlation: number;
  /** beyond which two rounds are related */
  readonly correlationLimit: number;
  /** what does not hold, a sentence each */
  readonly problems: readonly string[];
}

/** Chance of calling good noise bad, each test: it is done on every audit, so it is far below an audit's significance. */
const CHANCE = 1e-6;

/** @param silent - coordinates in which nobody has a gradient */
export function checkNoise({ plan, sums, contributions }: OpenedSums, silent: readonly number[]): NoiseCheck {
  const stdDev = plan.derived.shareStdDev * Math.sqrt(contributions);
  const rounds = sums.map((sum) => Float64Array.from(silent, (coordinate) => sum[coordinate]!));
  const values = Float64Array.from({ length: rounds.length * silent.length }, (_, i) => {
    return rounds[Math.floor(i / silent.length)]![i % silent.length]!;
  });
  const fits = {
    varianceP: varianceP(values, stdDev),
    chiSquareP: chiSquareP(values, stdDev),
    kolmogorovSmirnovP: kolmogorovSmirnovP(values, stdDev),
  };
  const least = Math.min(...Object.values(fits));
  const correlation = largestCorrelation(rounds);
  const pairs = Math.max(1, (rounds.length * (rounds.length - 1)) / 2);
  const correlationLimit = Math.max(5, -normalQuantile(CHANCE / 2 / pairs));
  const spread = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
  const problems: string[] = [];
  if (least < CHANCE)
    problems.push(
      `the noise in the sums is not the plan's: its standard deviation is ${spread.toPrecision(4)} grid steps, ${stdDev.toPrecision(4)} are promised (p ${least.toExponential(1)})`,
    );
  if (correlation > correlationLimit)
    problems.push(`two rounds share noise: correlated by ${correlation.toFixed(1)} standard deviations`);
  return { values: values.length, ...fits, correlation, correlationLimit, problems };
}

/** Coefficients of unrelated rounds of n values have standard deviation 1/√n; a round and itself come to √n of those. */
function largestCorrelation(rounds: readonly Float64Array[]): number {
  const norms = rounds.map((round) => Math.sqrt(dot(round, round)));
  let largest = 0;
  for (let later = 1; later < rounds.length; later++)
    for (let earlier = 0; earlier < later; earlier++) {
      const scale = norms[earlier]! * norms[later]!;
      if (scale > 0) largest = Math.max(largest, Math.abs(dot(rounds[earlier]!, rounds[later]!)) / scale);
    }
  return largest * Math.sqrt(rounds[0]?.length ?? 0);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
