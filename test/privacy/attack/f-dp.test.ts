import { expect, test } from 'vitest';
import { bestFdpMu, fdpEpsilon, fdpMu } from '../../../privacy/attack/f-dp.ts';
import { evenSplits, guessBy } from '../../../privacy/attack/guesses.ts';
import { bestOneRunEpsilon } from '../../../privacy/attack/one-run.ts';
import { gaussianEpsilon, normalTail } from '../../../privacy/normal.ts';
import { attackBound } from '../../../privacy/pld-accountant.ts';
import { replayRandom } from '../replay-random.ts';
import { perfectAttack } from './perfect-attack.ts';

// Computed with scipy by the recursion of jax_privacy's auditing.py (`_epsilon_one_run_fdp`), commit 03a095e.
test.each([
  [1000, 100, 80, 0.05, 1e-5, 1.4022146925],
  [1000, 100, 90, 0.05, 1e-5, 2.456404893],
  [1000, 1000, 600, 0.05, 1e-5, 0.5835404731],
  [1000, 50, 50, 0.05, 1e-5, 4.0619149684],
  [10_000, 500, 450, 0.05, 1e-6, 2.9125494711],
  [100, 100, 70, 0.05, 1e-5, 1.0607028854],
  [1000, 1000, 1000, 0.05 / 12, 1e-5, 8.8027166061],
  [4000, 400, 250, 0.01, 1e-5, 0.3264777934],
])(
  'of %i canaries %i guessed, %i rightly, at %d and δ = %d, refute ε = %d',
  (canaries, guesses, correct, significance, delta, epsilon) => {
    expect(fdpEpsilon({ canaries, guesses, correct }, significance, delta)).toBeCloseTo(epsilon, 8);
  },
);

test('more right guesses refute no less, and half right refute nothing', () => {
  for (let correct = 1; correct <= 60; correct++) {
    const less = fdpMu({ canaries: 100, guesses: 60, correct: correct - 1 }, 0.05);
    expect(fdpMu({ canaries: 100, guesses: 60, correct }, 0.05)).toBeGreaterThanOrEqual(less);
  }
  expect(fdpMu({ canaries: 100, guesses: 60, correct: 30 }, 0.05)).toBe(0);
  expect(fdpMu({ canaries: 100, guesses: 60, correct: 0 }, 0.05)).toBe(0);
});

test('numbers that are no guesses, and a significance that is none, are refused', () => {
  expect(() => fdpMu({ canaries: 10, guesses: 4, correct: 5 }, 0.05)).toThrow(RangeError);
  expect(() => fdpMu({ canaries: 10, guesses: 4, correct: 3 }, 0)).toThrow(RangeError);
});

/*
 * What a perfect attack on a Gaussian of a known ε gets to see, δ = 1e-5, 95 %, the best of six numbers of guesses. The
 * ideal rates have closed forms; the bounds are a simulation by another hand, from single runs: the shape counts.
 */
test.each([
  { epsilon: 1, mu: 0.2680517, auc: 0.575, tpr: 0.02, oneRun: [0.05, 0.19, 0.48] },
  { epsilon: 2, mu: 0.5015528, auc: 0.639, tpr: 0.034, oneRun: [0.05, 0.61, 0.92] },
  { epsilon: 4, mu: 0.9249325, auc: 0.743, tpr: 0.081, oneRun: [0.45, 1.42, 1.98] },
  { epsilon: 8, mu: 1.6660321, auc: 0.881, tpr: 0.255, oneRun: [1.47, 2.6, 3.34] },
])(
  'a perfect attack on ε = $epsilon shows less than ε, more with more canaries, and most by f-DP',
  ({ epsilon, mu, auc, tpr, oneRun }) => {
    expect(gaussianEpsilon(mu, 1e-5)).toBeCloseTo(epsilon, 4);
    expect(normalTail(-mu / Math.SQRT2)).toBeCloseTo(auc, 3);
    const bound = attackBound([{ type: 'Gaussian', noiseMultiplier: 1 / mu }], 0.01);
    expect(bound.truePositiveRate).toBeCloseTo(tpr, 3);
    expect(bound.mu).toBeCloseTo(mu, 5);

    const random = replayRandom(`perfect attack on ${epsilon}`);
    const runs = 8;
    const means = [100, 1000, 10_000].map((canaries) => {
      let [plain, byShape] = [0, 0];
      for (let run = 0; run < (canaries === 10_000 ? 2 : runs); run++) {
        const { scores, present } = perfectAttack(canaries, mu, random);
        const results = guessBy(scores, present, evenSplits(canaries));
        const found = [
          bestOneRunEpsilon(results, 0.05, 1e-5),
          gaussianEpsilon(bestFdpMu(results, 0.05), 1e-5),
        ] as const;
        expect(Math.max(...found)).toBeLessThanOrEqual(epsilon);
        plain += found[0] / (canaries === 10_000 ? 2 : runs);
        byShape += found[1] / (canaries === 10_000 ? 2 : runs);
      }
      expect(byShape).toBeGreaterThanOrEqual(plain);
      return plain;
    });
    expect(means[0]!).toBeLessThan(means[1]!);
    expect(means[1]!).toBeLessThan(means[2]!);
    for (const [i, mean] of means.entries())
      expect(Math.abs(mean - oneRun[i]!)).toBeLessThan(0.2 + 0.15 * epsilon ** 0.5);
  },
);
