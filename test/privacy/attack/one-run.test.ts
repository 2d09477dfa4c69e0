import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bestOneRunEpsilon, oneRunEpsilon, oneRunPValue } from '../../../privacy/attack/one-run.ts';

// Computed with scipy by the formulas of jax_privacy's auditing.py (`_one_run_p_value`, `_epsilon_one_run`), commit 03a095e.
test.each([
  [1000, 100, 80, 0.05, 1e-5, 0.955318535],
  [1000, 100, 90, 0.05, 1e-5, 1.6261434807],
  [1000, 1000, 600, 0.05, 1e-5, 0.2972269537],
  [1000, 50, 50, 0.05, 1e-5, 2.7562194845],
  [10_000, 500, 450, 0.05, 1e-6, 1.946011939],
  [100, 100, 70, 0.05, 1e-5, 0.4714191096],
  [1000, 1000, 1000, 0.05 / 12, 1e-5, 5.0850363131],
  [4000, 400, 250, 0.01, 1e-5, 0.2589180163],
])(
  'of %i canaries %i guessed, %i rightly, at %d and δ = %d, refute ε = %d',
  (canaries, guesses, correct, significance, delta, epsilon) => {
    expect(oneRunEpsilon({ canaries, guesses, correct }, significance, delta)).toBeCloseTo(epsilon, 8);
  },
);

test('the p-value of 80 in 100 at ε = 1 is 0.0730091', () => {
  expect(oneRunPValue({ canaries: 1000, guesses: 100, correct: 80 }, 1, 1e-5)).toBeCloseTo(0.07300911594917776, 12);
});

test('with δ = 0 the p-value of all right is (e^ε / (1 + e^ε))^r', () => {
  const p = oneRunPValue({ canaries: 9, guesses: 7, correct: 7 }, Math.log(3), 0);
  expect(p).toBeCloseTo(0.75 ** 7, 14);
});

test('more right guesses refute no less, a larger δ or a stricter test no more', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.nat(), fc.nat(), (guesses, part, more) => {
      const correct = part % guesses;
      const result = { canaries: guesses + (more % 300), guesses, correct };
      const epsilon = oneRunEpsilon(result, 0.05, 1e-5);
      expect(oneRunEpsilon({ ...result, correct: correct + 1 }, 0.05, 1e-5)).toBeGreaterThanOrEqual(epsilon);
      expect(oneRunEpsilon(result, 0.05, 1e-3)).toBeLessThanOrEqual(epsilon);
      expect(oneRunEpsilon(result, 0.01, 1e-5)).toBeLessThanOrEqual(epsilon);
    }),
  );
});

test('what is refuted has a p-value at the significance, and half right refute nothing', () => {
  const result = { canaries: 500, guesses: 200, correct: 140 };
  const epsilon = oneRunEpsilon(result, 0.05, 1e-6);
  expect(oneRunPValue(result, epsilon, 1e-6)).toBeCloseTo(0.05, 6);
  expect(oneRunEpsilon({ canaries: 500, guesses: 200, correct: 100 }, 0.05, 1e-6)).toBe(0);
});

test('the best of six results pays for six', () => {
  const good = { canaries: 1000, guesses: 100, correct: 90 };
  const bad = { canaries: 1000, guesses: 1000, correct: 500 };
  const best = bestOneRunEpsilon([bad, bad, good, bad, bad, bad], 0.05, 1e-5);
  expect(best).toBe(oneRunEpsilon(good, 0.05 / 6, 1e-5));
  expect(best).toBeLessThan(oneRunEpsilon(good, 0.05, 1e-5));
});

test('numbers that are no guesses, and probabilities that are none, are refused', () => {
  const result = { canaries: 10, guesses: 4, correct: 3 };
  for (const broken of [{ correct: 5 }, { guesses: 11 }, { correct: -1 }, { correct: 1.5 }])
    expect(() => oneRunEpsilon({ ...result, ...broken }, 0.05, 0)).toThrow(RangeError);
  for (const significance of [0, 1, Number.NaN])
    expect(() => oneRunEpsilon(result, significance, 0)).toThrow(RangeError);
  for (const delta of [-0.1, 1, Number.NaN]) expect(() => oneRunEpsilon(result, 0.05, delta)).toThrow(RangeError);
});
