import { bestFdpMu } from '../../privacy/attack/f-dp.ts';
import { type GaussianFit, gaussianFit } from '../../privacy/attack/gaussian-fit.ts';
import { evenSplits, guessBy, presentOnlySplits } from '../../privacy/attack/guesses.ts';
import { bestOneRunEpsilon } from '../../privacy/attack/one-run.ts';
import { type Roc, rocOf } from '../../privacy/attack/roc.ts';
import { gaussianEpsilon } from '../../privacy/normal.ts';
import type { RandomSource } from '../../privacy/random.ts';
import type { OpenedSums } from './canary-run.ts';

/** What an attacker who sees every opened sum can tell about who was there. */
export interface Evidence {
  /** lower bound on ε, whatever the mechanism */
  readonly oneRun: number;
  /** lower bound on μ of a mechanism that is μ-GDP, and the ε it has at δ */
  readonly fdp: { readonly mu: number; readonly epsilon: number };
  /** an estimate, no bound */
  readonly fit: GaussianFit;
  readonly roc: Roc;
}

/** Lower bounds that are stated together; each has this part of the significance. */
const BOUNDS = 2;

/**
 * Attacks the sums: a canary's score is what lies in its coordinate, over all rounds, in the direction of its gradient.
 *
 * @param present - the coins
 * @param confidence - with which both lower bounds hold together, in (0, 1)
 */
export function attack(
  { sums }: OpenedSums,
  present: readonly boolean[],
  { delta, confidence, random }: { delta: number; confidence: number; random: RandomSource },
): Evidence {
  const scores = scoresOf(sums, present.length);
  const guesses = guessBy(scores, present, [...evenSplits(scores.length), ...presentOnlySplits(scores.length)]);
  const significance = (1 - confidence) / BOUNDS;
  const mu = bestFdpMu(guesses, significance);
  const side = (there: boolean): Float64Array => scores.filter((_, canary) => present[canary] === there);
  return {
    oneRun: bestOneRunEpsilon(guesses, significance, delta),
    fdp: { mu, epsilon: gaussianEpsilon(mu, delta) },
    fit: gaussianFit(side(true), side(false), { delta, confidence, random }),
    roc: rocOf(side(true), side(false)),
  };
}

/** A canary's gradient points down its coordinate. */
function scoresOf(sums: readonly Float64Array[], canaries: number): Float64Array {
  const scores = new Float64Array(canaries);
  for (const sum of sums) for (let canary = 0; canary < canaries; canary++) scores[canary]! -= sum[canary]!;
  return scores;
}
