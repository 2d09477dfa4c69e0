/**
 * From an attack's scores to guesses: who was there, who was not, and how many of those guesses are right.
 *
 *   m canaries, each there by the toss of a coin ──▶ a score each, higher means "there"
 *     ──▶ the r/2 highest are guessed present, the r/2 lowest absent, nothing is said of the rest ──▶ v correct
 *
 * Promise: which canaries are guessed depends on scores alone. Equal scores are taken in the order of the canaries, which
 * knows nothing of the coins.
 *
 * @see Steinke, Nasr, Jagielski 2023 (arXiv:2305.08846), Algorithm 1
 */
export interface Guesses {
  /** m: canaries whose coin was tossed */
  readonly canaries: number;
  /** r ≤ m: how many were guessed */
  readonly guesses: number;
  /** v ≤ r: how many of those rightly */
  readonly correct: number;
}

/** Parts of the canaries that are guessed. Nobody knows the best part beforehand: whoever tries all pays for each (Bonferroni). */
const PARTS = [0.02, 0.05, 0.1, 0.2, 0.5, 1] as const;

/** Numbers of guesses worth a try for this many canaries: even, ascending, each at least 2. */
export function guessCounts(canaries: number): readonly number[] {
  return [...new Set(PARTS.map((part) => 2 * Math.max(1, Math.floor((part * canaries) / 2))))];
}

/**
 * What guessing by `scores` gives for each of `counts`.
 *
 * @param scores - one for each canary; higher means present
 * @param present - the coins, one for each canary
 * @param counts - numbers of guesses, even, from 2 to the number of canaries
 * @throws RangeError when lengths or counts do not fit
 */
export function guessBy(
  scores: Float64Array,
  present: readonly boolean[],
  counts: readonly number[] = guessCounts(scores.length),
): readonly Guesses[] {
  const canaries = scores.length;
  if (present.length !== canaries) throw new RangeError(`${canaries} scores, but ${present.length} coins`);
  const ascending = [...scores.keys()].sort((a, b) => scores[a]! - scores[b]! || a - b);
  return counts.map((guesses) => {
    if (!(Number.isInteger(guesses / 2) && guesses >= 2 && guesses <= canaries))
      throw new RangeError(`guesses must be an even number from 2 to ${canaries}, got ${guesses}`);
    const absent = ascending.slice(0, guesses / 2).filter((canary) => !present[canary]);
    const there = ascending.slice(-guesses / 2).filter((canary) => present[canary]);
    return { canaries, guesses, correct: absent.length + there.length };
  });
}

/** @throws RangeError when not 0 ≤ correct ≤ guesses ≤ canaries, whole numbers all */
export function requireGuesses({ canaries, guesses, correct }: Guesses): void {
  const whole = [canaries, guesses, correct].every(Number.isInteger);
  if (!(whole && correct >= 0 && correct <= guesses && guesses <= canaries))
    throw new RangeError(`guesses must keep 0 ≤ correct ≤ guesses ≤ canaries, got ${correct}, ${guesses}, ${canaries}`);
}
