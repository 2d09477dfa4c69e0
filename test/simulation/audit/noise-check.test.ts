import { expect, test } from 'vitest';
import { discreteGaussian } from '../../../privacy/discrete-gaussian.ts';
import type { OpenedSums } from '../../../simulation/audit/canary-run.ts';
import { checkNoise } from '../../../simulation/audit/noise-check.ts';
import { replayRandom } from '../../privacy/replay-random.ts';
import { churn } from './small-audit.ts';

const plan = churn.own!;
const SILENT = Array.from({ length: 60 }, (_, i) => 2 * i);

/** Ten sums of four shares; someone is in every odd coordinate. */
function sums(scale = 1, seed = 'sums'): OpenedSums {
  const random = replayRandom(seed);
  const rounds = Array.from({ length: 10 }, () => {
    const sum = new Float64Array(121);
    for (let share = 0; share < 4; share++) {
      const values = new Float64Array(121);
      discreteGaussian(Math.round(scale * plan.derived.shareStdDev), values, random);
      values.forEach((value, i) => {
        sum[i]! += value + (i % 2) * 1e9;
      });
    }
    return sum;
  });
  return { plan, sums: rounds, contributions: 4 };
}

test('four honest shares are the noise of the plan, whatever lies in other coordinates', () => {
  const found = checkNoise(sums(), SILENT);
  expect(found.problems).toEqual([]);
  expect(found.values).toBe(600);
  expect(found.chiSquareP).toBeGreaterThan(0.001);
  expect(found.correlation).toBeLessThan(5);
  expect(found.correlationLimit).toBeGreaterThanOrEqual(5);
});

test('noise a quarter too small or too large, and none, are named with what was promised', () => {
  for (const scale of [0.75, 1.25])
    expect(checkNoise(sums(scale), SILENT).problems).toEqual([
      expect.stringMatching(/standard deviation is .* promised/),
    ]);
  const none = { ...sums(), sums: Array.from({ length: 10 }, () => new Float64Array(121)) };
  const found = checkNoise(none, SILENT);
  expect(found.problems).toHaveLength(1);
  expect(found.correlation).toBe(0);
});

test('a single pair of rounds with the same noise is found', () => {
  const { sums: rounds, ...rest } = sums();
  const problems = checkNoise({ ...rest, sums: rounds.with(7, rounds[2]!) }, SILENT).problems;
  expect(problems).toEqual([expect.stringMatching(/^two rounds share noise: correlated by \d/)]);
});

test('one round has nothing to be correlated with', () => {
  const { sums: rounds, ...rest } = sums();
  expect(checkNoise({ ...rest, sums: rounds.slice(0, 1) }, SILENT)).toMatchObject({ correlation: 0, problems: [] });
});
