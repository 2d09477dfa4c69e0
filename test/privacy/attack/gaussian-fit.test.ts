import { expect, test } from 'vitest';
import { gaussianFit } from '../../../privacy/attack/gaussian-fit.ts';
import { gaussianEpsilon } from '../../../privacy/normal.ts';
import { replayRandom } from '../replay-random.ts';
import { perfectAttack, scoresOf } from './perfect-attack.ts';

const fitOf = (canaries: number, mu: number, seed: string, confidence = 0.95) => {
  const random = replayRandom(seed);
  const { scores, present } = perfectAttack(canaries, mu, random);
  return gaussianFit(scoresOf(scores, present, true), scoresOf(scores, present, false), {
    delta: 1e-5,
    confidence,
    random,
  });
};

test('the distance of two Gaussians is found, and priced', () => {
  for (const mu of [0.5, 1.5]) {
    const fit = fitOf(5000, mu, `fit ${mu}`);
    expect(Math.abs(fit.mu - mu)).toBeLessThan(4 * Math.sqrt(4 / 5000)); // four standard errors of a difference of means
    expect(fit.epsilon).toBe(gaussianEpsilon(fit.mu, 1e-5));
    expect(fit.interval[0]).toBeLessThan(fit.epsilon);
    expect(fit.interval[1]).toBeGreaterThan(fit.epsilon);
  }
});

test('the interval holds the true ε about as often as it says', () => {
  const truth = gaussianEpsilon(1, 1e-5);
  const held = Array.from({ length: 60 }, (_, run) => fitOf(200, 1, `cover ${run}`, 0.8).interval);
  const count = held.filter(([low, high]) => low <= truth && truth <= high).length;
  expect(count).toBeGreaterThan(38); // 48 expected, standard deviation 3.1
  expect(count).toBeLessThan(58);
});

test('scores of those present that lie lower, or do not vary, are no infinity', () => {
  const at = (values: number[]) => Float64Array.from(values);
  const options = { delta: 1e-5, confidence: 0.9, random: replayRandom('flat') };
  expect(gaussianFit(at([1, 2, 1]), at([5, 6, 5]), options)).toEqual({ mu: 0, epsilon: 0, interval: [0, 0] });
  expect(gaussianFit(at([2, 2]), at([1, 1]), options).mu).toBe(1000);
});

test('too few scores, and intervals that are none, are refused', () => {
  const two = Float64Array.of(1, 2);
  const options = { delta: 1e-5, confidence: 0.95, random: replayRandom('few') };
  expect(() => gaussianFit(Float64Array.of(1), two, options)).toThrow('got 1 and 2');
  expect(() => gaussianFit(two, two, { ...options, confidence: 1 })).toThrow(RangeError);
  expect(() => gaussianFit(two, two, { ...options, delta: 0 })).toThrow(RangeError);
});
