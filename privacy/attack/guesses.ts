/**
 * From an attack's scores to guesses: who was there, who was not, and how many of those guesses are right.
 *
 *   m canaries, each there by the toss of a coin ──▶ a score each, higher means "there"
 *     ──▶ the highest are guessed present, the lowest absent, nothing is said of the rest ──▶ v of r correct
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

/** How many of the highest scores are guessed present, and how many of the lowest absent. */
export interface Split {
  readonly present: number;
  readonly absent: number;
}

/** Parts of the canaries that are guessed. Nobody knows the best part beforehand: whoever tries all pays for each (Bonferroni). */
const PARTS = [0.02, 0.05, 0.1, 0.2, 0.5, 1] as const;

/** As many guessed present as absent: right where scores of both sides spread alike. Ascending, the last guesses everybody. */
export function evenSplits(canaries: number): readonly Split[] {
  const halves = new Set(PARTS.map((part) => Math.max(1, Math.floor((part * canaries) / 2))));
  return [...halves].map((half) => ({ present: half, absent: half }));
}

/** Nobody guessed absent: right where who is there does not always show, as in sampled batches. Up to half of the canaries. */
export function presentOnlySplits(canaries: number): readonly Split[] {
  const counts = new Set(PARTS.slice(0, -1).map((part) => Math.max(1, Math.floor(part * canaries))));
  return [...counts].map((count) => ({ present: count, absent: 0 }));
}

/**
 * What guessing by `scores` gives for each of `splits`.
 *
 * @param scores - one for each canary; higher means present
 * @param present - the coins, one for each canary
 * @throws RangeError when there are not as many coins as scores, or a split guesses nobody or somebody twice
 */
export function guessBy(
  scores: Float64Array,
  present: readonly boolean[],
  splits: readonly Split[],
): readonly Guesses[] {
  const canaries = scores.length;
  if (present.length !== canaries) throw new RangeError(`${canaries} scores, but ${present.length} coins`);
  const ascending = [...scores.keys()].sort((a, b) => scores[a]! - scores[b]! || a - b);
  return splits.map((split) => {
    const guesses = split.present + split.absent;
    if (!(split.present >= 0 && split.absent >= 0 && guesses >= 1 && guesses <= canaries))
      throw new RangeError(
        `of ${canaries} canaries ${split.present} cannot be guessed present, ${split.absent} absent`,
      );
    const absent = ascending.slice(0, split.absent).filter((canary) => !present[canary]);
    const there = ascending.slice(canaries - split.present).filter((canary) => present[canary]);
    return { canaries, guesses, correct: absent.length + there.length };
  });
}

/** @throws RangeError when not 0 ≤ correct ≤ guesses ≤ canaries, whole numbers all */
export function requireGuesses({ canaries, guesses, correct }: Guesses): void {
  const whole = [canaries, guesses, correct].every(Number.isInteger);
  if (!(whole && correct >= 0 && correct <= guesses && guesses <= canaries))
    throw new RangeError(`guesses must keep 0 ≤ correct ≤ guesses ≤ canaries, got ${correct}, ${guesses}, ${canaries}`);
}
