import { describe, expect, test } from 'vitest';
import { makePlan } from '../../aggregation/plan.ts';
import {
  begin,
  clusterShape,
  progressHash,
  released,
  startParameters,
  sumNoise,
  takeIn,
} from '../../aggregation/progress.ts';
import { parameterHash } from '../../models/model.ts';
import { segmentSettings } from '../../simulation/telco.ts';
import { NOWHERE, rosterOf, smallTask } from '../support/small-task.ts';

const settings = smallTask('plain', { rounds: 3 });
const plan = makePlan(settings, rosterOf(5), NOWHERE, 0);
/** One step of the grid is clipNorm / gridSteps = 2 / 2^20. */
const grid = (...units: number[]): Float64Array => Float64Array.from(units, (unit) => unit * 2 ** 19);

describe('training', () => {
  const start = startParameters(settings);

  test('starts from public parameters: zeros, one for each feature and the intercept', () => {
    expect([...start]).toEqual([0, 0, 0]);
  });

  test('takes a step of learningRate · sum / expectedBatch against every opened sum', () => {
    const after = takeIn(plan, begin(start), grid(50, -100, 25));
    expect([...after.parameters]).toEqual([-1, 2, -0.5]);
    expect([...after.lastSum]).toEqual([50, -100, 25]);
    expect(after.steps).toBe(1);
  });

  test('releases the mean of the last two of three iterates', () => {
    let progress = begin(start);
    for (let round = 0; round < 3; round++) progress = takeIn(plan, progress, grid(50, 0, 100));
    // iterates −1, −2, −3 and −2, −4, −6
    expect([...progress.parameters]).toEqual([-3, 0, -6]);
    expect([...released(plan, progress)].map((value) => value + 0)).toEqual([-2.5, 0, -5]);
  });

  test('names what a round starts from by its parameters, and the end by what is released', () => {
    let progress = begin(start);
    for (let round = 1; round <= 2; round++) {
      progress = takeIn(plan, progress, grid(50, 0, 100));
      expect(progressHash(plan, progress, 3)).toBe(parameterHash(progress.parameters));
    }
    progress = takeIn(plan, progress, grid(50, 0, 100));
    expect(progressHash(plan, progress, 3)).toBe(parameterHash(released(plan, progress)));
  });

  test('changes nothing it was given', () => {
    const before = begin(start);
    takeIn(plan, before, grid(1, 2, 3));
    expect(before).toEqual(begin(startParameters(settings)));
  });

  test('refuses a sum that leads nowhere finite', () => {
    expect(() => takeIn(plan, begin(start), Float64Array.of(Number.NaN, 0, 0))).toThrow(RangeError);
    expect(() => takeIn(plan, begin(start), Float64Array.of(Number.POSITIVE_INFINITY, 0, 0))).toThrow(RangeError);
  });

  test('has no clusters', () => {
    expect(() => clusterShape(plan)).toThrow('a plan to train has no clusters');
  });
});

test('an evaluation has no start of its own, and leaves the model as it is', () => {
  const evaluation = {
    ...settings,
    work: { kind: 'evaluate', model: { kind: 'logistic' }, parameters: NOWHERE, trainedBy: NOWHERE, bins: 16 },
    privacy: { ...settings.privacy, samplingRate: 1 },
  } as const;
  expect(() => startParameters(evaluation)).toThrow('starts from the released model');
  const evaluated = makePlan(evaluation, rosterOf(5), NOWHERE, 0);
  const model = Float64Array.of(1, 2, 3);
  const after = takeIn(evaluated, begin(model), new Float64Array(32).fill(2 ** 20));
  expect(after.parameters).toEqual(model);
  expect(released(evaluated, after)).toEqual(model);
  expect([...after.lastSum]).toEqual(new Array(32).fill(1));
});

test('segments move as customers are counted, and are what is released', () => {
  const segments = makePlan(segmentSettings, rosterOf(5), NOWHERE, 0);
  const start = begin(startParameters(segmentSettings));
  const { clusters, width } = clusterShape(segments);
  expect({ clusters, width }).toEqual({ clusters: 4, width: 3 });
  const many = takeIn(segments, start, new Float64Array(segments.derived.dimension).fill(2 ** 40));
  expect(many.parameters).not.toEqual(start.parameters);
  expect(many.parameters).toHaveLength(start.parameters.length);
  expect(released(segments, many)).toBe(many.parameters);
  expect(progressHash(segments, many, 1)).toBe(parameterHash(many.parameters));
});

test('the noise of a sum is that of the shares in it', () => {
  const { shareStdDev, clipNorm } = plan.derived;
  expect(sumNoise(plan)).toBeCloseTo((shareStdDev * Math.sqrt(5) * clipNorm) / 2 ** 20, 12);
  expect(sumNoise(plan, 4)).toBeCloseTo((shareStdDev * 2 * clipNorm) / 2 ** 20, 12);
});
