/**
 * A lower bound on ε from a single run: whoever guesses m independent coins too well has shown that no mechanism with that
 * (ε, δ) was at work.
 *
 * Under (ε, δ)-DP every guess is right with probability at most e^ε / (1 + e^ε), whatever the others were, but for an event
 * that δ pays for; so v correct of r guesses are hardly more likely than for a binomial variable, and its tail is a p-value.
 *
 * @see Steinke, Nasr, Jagielski 2023 (arXiv:2305.08846), Theorem 5.2 and Algorithm 1
 */
import { type Guesses, requireGuesses } from './guesses.ts';

/**
 * Probability, at most, that an (ε, δ)-DP mechanism lets anyone be as right as this.
 *
 * β + 2mδα with β = P[Bin(r, q) ≥ v], q = e^ε/(1 + e^ε), α = max over i of (P[Bin(r, q) ≥ v − i] − β) / i
 *
 * @param epsilon - ≥ 0
 * @param delta - in [0, 1)
 * @returns in [0, 1]
 * @throws RangeError when the guesses are no guesses
 */
export function oneRunPValue(result: Guesses, epsilon: number, delta: number): number {
  requireGuesses(result);
  const { canaries, guesses, correct } = result;
  const chances = binomial(guesses, epsilon);
  let beta = 0;
  for (let k = guesses; k >= correct; k--) beta += chances[k]!;
  let [alpha, below] = [0, 0];
  for (let i = 1; i <= correct; i++) {
    below += chances[correct - i]!;
    alpha = Math.max(alpha, below / i);
  }
  return Math.min(1, beta + 2 * canaries * delta * alpha);
}

/**
 * The largest ε that these guesses refute at this δ; 0 when they refute none. Without any privacy at all it stays finite: r
 * correct guesses of r refute little more than ln(r / ln(1/significance)).
 *
 * @param significance - probability of being wrong, in (0, 1); of several results of one run each gets its part
 * @throws RangeError when significance or delta is out of range, or the guesses are no guesses
 */
export function oneRunEpsilon(result: Guesses, significance: number, delta: number): number {
  requireTest(significance, delta);
  return largestRefuted((epsilon) => oneRunPValue(result, epsilon, delta) <= significance);
}

/** The best of several results of the same run, each tested at its part of the significance (Bonferroni). */
export function bestOneRunEpsilon(results: readonly Guesses[], significance: number, delta: number): number {
  return Math.max(0, ...results.map((result) => oneRunEpsilon(result, significance / results.length, delta)));
}

/** @throws RangeError when significance lies outside (0, 1) or delta outside [0, 1) */
export function requireTest(significance: number, delta: number): void {
  if (!(significance > 0 && significance < 1))
    throw new RangeError(`significance must lie in (0, 1), got ${significance}`);
  if (!(delta >= 0 && delta < 1)) throw new RangeError(`delta must lie in [0, 1), got ${delta}`);
}

/** Where `refutes` turns from true to false, to seven digits and from below; 0 when it is false from the start. */
export function largestRefuted(refutes: (value: number) => boolean): number {
  if (!refutes(0)) return 0; // spares forty evaluations
  let [low, high] = [0, 1];
  while (refutes(high)) [low, high] = [high, 2 * high];
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (refutes(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** P[Bin(trials, e^ε/(1 + e^ε)) = k] for every k. In logarithms: single factors leave the range of doubles. */
function binomial(trials: number, epsilon: number): Float64Array {
  const logFailure = -epsilon - Math.log1p(Math.exp(-epsilon));
  const logSuccess = -Math.log1p(Math.exp(-epsilon));
  const chances = new Float64Array(trials + 1);
  let logChoose = 0;
  for (let k = 0; k <= trials; k++) {
    chances[k] = Math.exp(logChoose + k * logSuccess + (trials - k) * logFailure);
    logChoose += Math.log((trials - k) / (k + 1));
  }
  return chances;
}
