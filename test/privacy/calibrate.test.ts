import { expect, test } from 'vitest';
import { calibrateNoiseMultiplier } from '../../privacy/calibrate.ts';
import type { PrivacyEvent } from '../../privacy/event.ts';
import { noiseShare, planEvent } from '../../privacy/guarantee.ts';
import { samplingRate } from '../../privacy/poisson.ts';
import { epsilonSpent } from '../../privacy/rdp.ts';

const sgd =
  (rate: number, count: number) =>
  (noiseMultiplier: number): PrivacyEvent => ({
    type: 'SelfComposed',
    count,
    event: { type: 'PoissonSampled', rate, event: { type: 'Gaussian', noiseMultiplier } },
  });

test('the noise of the demonstration plan: q = 0.1, ε = 2, δ = 1e-5', () => {
  const target = { epsilon: 2, delta: 1e-5 };
  expect(calibrateNoiseMultiplier({ ...target, eventFor: sgd(samplingRate(0.1), 105) })).toBeCloseTo(2.469, 3);
  expect(calibrateNoiseMultiplier({ ...target, eventFor: sgd(samplingRate(0.1), 100) })).toBeCloseTo(2.422, 2);
});

test.each([
  [0.1, 1e-6, 1, 50],
  [0.5, 1e-5, 0.1, 200],
  [2, 1e-6, 0.01, 1000],
  [8, 1e-7, 0.001, 5000],
  [1, 1e-5, 1, 1],
])(
  'the answer meets ε = %d, δ = %d, q = %d, %i rounds; a ten-thousandth less would not',
  (epsilon, delta, q, rounds) => {
    const eventFor = sgd(samplingRate(q), rounds);
    const z = calibrateNoiseMultiplier({ epsilon, delta, eventFor });
    expect(epsilonSpent([eventFor(z)], delta).epsilon).toBeLessThanOrEqual(epsilon);
    expect(epsilonSpent([eventFor(z * (1 - 1.01e-4))], delta).epsilon).toBeGreaterThan(epsilon);
  },
);

test('calibrated on the events of a plan, rounding to the grid included, the plan stays within its target', () => {
  const cohort = { minCohort: 4, colluders: 1, sensitivity: 64 };
  const eventFor = (noiseMultiplier: number) => {
    const shareStdDev = noiseShare({ ...cohort, noiseMultiplier });
    return planEvent({
      shareStdDev,
      shares: 3,
      sensitivity: 64,
      dimension: 21,
      rate: samplingRate(0.1),
      openings: 105,
    });
  };
  const z = calibrateNoiseMultiplier({ epsilon: 2, delta: 1e-5, eventFor });
  expect(epsilonSpent([eventFor(z)], 1e-5).epsilon).toBeLessThanOrEqual(2);
});

test('what no noise can reach is refused', () => {
  expect(() => calibrateNoiseMultiplier({ epsilon: 1, delta: 1e-5, eventFor: () => ({ type: 'NonPrivate' }) })).toThrow(
    'reaches epsilon 1',
  );
  expect(() => calibrateNoiseMultiplier({ epsilon: 0, delta: 1e-5, eventFor: sgd(1, 1) })).toThrow(RangeError);
});

test('a plan that releases nothing needs no noise to speak of', () => {
  const z = calibrateNoiseMultiplier({ epsilon: 1, delta: 1e-5, eventFor: () => ({ type: 'NoOp' }) });
  expect(z).toBeLessThan(0.1);
});
