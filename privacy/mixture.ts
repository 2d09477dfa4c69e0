/**
 * Gaussian events in one form: mixtures of Gaussians beside one at 0, in standard deviations of the noise.
 */
import type { DiscreteGaussian, MixtureOfGaussians } from './event.ts';
import type { GaussianMixture } from './pld.ts';

/**
 * Multiplier of the continuous Gaussian mechanism that this event is a post-processing of: √(σ² − 4²) / Δ.
 * Zero when the noise is too small for that. The proof is DISCRETE-GAUSSIAN.md.
 */
export function continuousMultiplier({ noiseVariance, sensitivity }: DiscreteGaussian): number {
  return Math.sqrt(Math.max(0, noiseVariance - 16)) / sensitivity;
}

/**
 * The event in standard deviations of its noise, means ascending, without the sensitivities that never occur.
 *
 * @returns no means at all when the customer never moves the sum; undefined when the event is not sane
 */
export function mixtureOf({
  standardDeviation,
  sensitivities,
  samplingProbs,
}: MixtureOfGaussians): GaussianMixture | undefined {
  const weightOf = new Map<number, number>();
  let total = 0;
  for (const [i, sensitivity] of sensitivities.entries()) {
    const probability = samplingProbs[i] ?? Number.NaN;
    const mean = sensitivity / standardDeviation;
    if (!(standardDeviation > 0 && mean >= 0 && mean < Infinity && probability >= 0)) return undefined;
    if (probability > 0) weightOf.set(mean, (weightOf.get(mean) ?? 0) + probability);
    total += probability;
  }
  if (!(Math.abs(total - 1) < 1e-9 && samplingProbs.length === sensitivities.length)) return undefined;
  const means = [...weightOf.keys()].sort((a, b) => a - b);
  if (means.at(-1) === 0) return { means: [], weights: [] };
  const weights = means.map((mean) => weightOf.get(mean)!);
  weights[0] = 1 - weights.slice(1).reduce((sum, weight) => sum + weight, 0); // what rounding lost was not sampled
  return weights[0] > 0 ? { means, weights } : { means: means.slice(1), weights: weights.slice(1) };
}
