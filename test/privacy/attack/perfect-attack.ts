import { normalQuantile } from '../../../privacy/normal.ts';
import type { RandomSource } from '../../../privacy/random.ts';

/** Scores of a perfect attack on m canaries: N(μ, 1) for those present by the toss of a coin, N(0, 1) for the others. */
export function perfectAttack(
  canaries: number,
  mu: number,
  random: RandomSource,
): { scores: Float64Array; present: boolean[] } {
  const words = new Uint32Array(2 * canaries);
  random.fill(words);
  const present = Array.from({ length: canaries }, (_, i) => words[i]! % 2 === 1);
  const scores = Float64Array.from(
    present,
    (there, i) => normalQuantile((words[canaries + i]! + 0.5) / 2 ** 32) + (there ? mu : 0),
  );
  return { scores, present };
}

/** The scores of one side. */
export const scoresOf = (scores: Float64Array, present: readonly boolean[], there: boolean): Float64Array =>
  scores.filter((_, i) => present[i] === there);
