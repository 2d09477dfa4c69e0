import fc from 'fast-check';
import { expect, test } from 'vitest';
import { guessBy, guessCounts } from '../../../privacy/attack/guesses.ts';

test('the highest scores are guessed present, the lowest absent, and nothing is said of the rest', () => {
  const scores = Float64Array.of(5, -3, 0, 9, -8, 1);
  const present = [true, true, false, true, false, false];
  // ascending: −8 absent, −3 present, 0 absent, 1 absent, 5 present, 9 present
  expect(guessBy(scores, present, [2, 4, 6]).map(({ correct }) => correct)).toEqual([2, 3, 4]);
});

test('equal scores are guessed by position alone: whoever is present cannot help it', () => {
  const scores = new Float64Array(4);
  expect(guessBy(scores, [false, true, true, true], [2])[0]!.correct).toBe(2);
  expect(guessBy(scores, [true, true, true, false], [2])[0]!.correct).toBe(0);
});

test('turning scores and coins around leaves as many right, for scores without ties', () => {
  const runs = fc.uniqueArray(fc.integer(), { minLength: 2, maxLength: 40 });
  fc.assert(
    fc.property(runs, fc.infiniteStream(fc.boolean()), (values, coins) => {
      const present = values.map(() => coins.next().value as boolean);
      const turned = present.map((there) => !there);
      const scores = Float64Array.from(values);
      expect(
        guessBy(
          scores.map((score) => -score),
          turned,
        ),
      ).toEqual(guessBy(scores, present));
    }),
  );
});

test('the numbers tried are even, ascending, and end with everybody', () => {
  expect(guessCounts(1000)).toEqual([20, 50, 100, 200, 500, 1000]);
  expect(guessCounts(10)).toEqual([2, 4, 10]);
  expect(guessCounts(101).at(-1)).toBe(100);
});

test.each([1, 3, 8])('%i guesses of six canaries are refused', (count) => {
  expect(() => guessBy(new Float64Array(6), new Array(6).fill(true), [count])).toThrow(RangeError);
});

test('a coin for each score, or nothing', () => {
  expect(() => guessBy(new Float64Array(6), [true])).toThrow('6 scores, but 1 coins');
});
