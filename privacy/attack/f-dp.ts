/**
 * A lower bound from a single run that uses the whole trade-off between the two kinds of error, not one (ε, δ) of it: tighter
 * than `one-run.ts`, for a stronger hypothesis.
 *
 * What is refuted is "at least as private as N(0, 1) beside N(μ, 1)" (μ-GDP), and the largest refuted μ is stated as the ε it
 * has at δ. That refutes an (ε, δ) only of mechanisms whose trade-off lies nowhere below that Gaussian's.
 *
 * @see Mahloujifar, Melis, Chaudhuri 2024 (arXiv:2410.22235), the algorithm audit_rh_with_cap; Dong, Roth, Su 2022
 *   (arXiv:1905.02383) for μ-GDP
 */
import { gaussianEpsilon, normalQuantile, normalTail } from '../normal.ts';
import { type Guesses, requireGuesses } from './guesses.ts';
import { largestRefuted, requireTest } from './one-run.ts';

/**
 * The largest μ for which no μ-GDP mechanism lets anyone be as right as this, but for a chance of `significance`; 0 when these
 * guesses refute none.
 *
 * @param significance - probability of being wrong, in (0, 1); of several results of one run each gets its part
 * @throws RangeError when significance is out of range, or the guesses are no guesses
 */
export function fdpMu(result: Guesses, significance: number): number {
  requireTest(significance, 0);
  requireGuesses(result);
  return largestRefuted((mu) => refutes(result, significance, mu));
}

/** The best of several results of the same run, each tested at its part of the significance (Bonferroni). */
export function bestFdpMu(results: readonly Guesses[], significance: number): number {
  return Math.max(0, ...results.map((result) => fdpMu(result, significance / results.length)));
}

/** `fdpMu` as the ε that N(0, 1) beside N(μ, 1) has at this δ. @param delta - in (0, 1) */
export function fdpEpsilon(result: Guesses, significance: number, delta: number): number {
  return gaussianEpsilon(fdpMu(result, significance), delta);
}

/**
 * Suppose `correct` or more guesses were right with probability `significance`. Going down from there, h and r are the least
 * chances (each a share of the canaries) of as many wrong and right guesses that μ-GDP then forces; if together they exceed
 * the guesses there are, the supposition was wrong.
 */
function refutes({ canaries, guesses, correct }: Guesses, significance: number, mu: number): boolean {
  let right = (significance * correct) / canaries;
  let wrong = (significance * (guesses - correct)) / canaries;
  for (let i = correct - 1; i >= 0; i--) {
    const forced = right === 1 ? 1 : normalTail(mu - normalQuantile(right)); // Φ(Φ⁻¹(right) − μ): the trade-off, read backwards
    if (forced <= wrong) break; // then neither changes any more
    right = Math.min(1, right + (i / (guesses - i)) * (forced - wrong));
    wrong = forced;
  }
  return right + wrong > guesses / canaries;
}
