import fc from 'fast-check';
import { expect, test } from 'vitest';
import { evenSplits, guessBy, presentOnlySplits } from '../../../privacy/attack/guesses.ts';

const even = (count: number) => ({ present: count / 2, absent: count / 2 });

test('the highest scores are guessed present, the lowest absent, and nothing is said of the rest', () => {
  const scores = Float64Array.of(5, -3, 0, 9, -8, 1);
  const present = [true, true, false, true, false, false];
  // ascending: −8 absent, −3 present, 0 absent, 1 absent, 5 present, 9 present
  expect(guessBy(scores, present, [2, 4, 6].map(even)).map(({ correct }) => correct)).toEqual([2, 3, 4]);
  const onlyPresent = [1, 2, 3].map((count) => ({ present: count, absent: 0 }));
  expect(guessBy(scores, present, onlyPresent).map(({ guesses, correct }) => [guesses, correct])).toEqual([
    [1, 1],
    [2, 2],
    [3, 2],
  ]);
});

test('equal scores are guessed by position alone: whoever is present cannot help it', () => {
  const scores = new Float64Array(4);
  expect(guessBy(scores, [false, true, true, true], [even(2)])[0]!.correct).toBe(2);
  expect(guessBy(scores, [true, true, true, false], [even(2)])[0]!.correct).toBe(0);
});

test('turning scores and coins around leaves as many right, for scores without ties', () => {
  const runs = fc.uniqueArray(fc.integer(), { minLength: 2, maxLength: 40 });
  fc.assert(
    fc.property(runs, fc.infiniteStream(fc.boolean()), (values, coins) => {
      const present = values.map(() => coins.next().value as boolean);
      const turned = present.map((there) => !there);
      const scores = Float64Array.from(values);
      const splits = evenSplits(values.length);
      const around = scores.map((score) => -score);
      expect(guessBy(around, turned, splits)).toEqual(guessBy(scores, present, splits));
    }),
  );
});

test('splits ascend; even ones end with everybody, the others with half of the canaries', () => {
  expect(evenSplits(1000).map(({ present, absent }) => present + absent)).toEqual([20, 50, 100, 200, 500, 1000]);
  expect(evenSplits(10).map(({ present }) => present)).toEqual([1, 2, 5]);
  expect(evenSplits(101).at(-1)).toEqual({ present: 50, absent: 50 });
  expect(presentOnlySplits(1000)).toEqual([20, 50, 100, 200, 500].map((present) => ({ present, absent: 0 })));
});

test.each([
  { present: 0, absent: 0 },
  { present: 4, absent: 3 },
  { present: -1, absent: 2 },
])('of six canaries $present cannot be guessed present and $absent absent', (split) => {
  expect(() => guessBy(new Float64Array(6), new Array(6).fill(true), [split])).toThrow('of 6 canaries');
});

test('a coin for each score, or nothing', () => {
  expect(() => guessBy(new Float64Array(6), [true], [])).toThrow('6 scores, but 1 coins');
});
