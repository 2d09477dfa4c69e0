import { expect, test } from 'vitest';
import { calibrateNoiseMultiplier, epsilonForCopies, mostRounds } from '../../privacy/calibrate.ts';
import type { PrivacyEvent } from '../../privacy/event.ts';
import { noiseShare, planEvent } from '../../privacy/guarantee.ts';
import { epsilonAtMost } from '../../privacy/pld-accountant.ts';
import { EVERYBODY, samplingRate } from '../../privacy/poisson.ts';
import { epsilonSpent } from '../../privacy/rdp.ts';

const sgd =
  (rate: number, count: number) =>
  (noiseMultiplier: number): PrivacyEvent => ({
    type: 'SelfComposed',
    count,
    event: { type: 'PoissonSampled', rate, event: { type: 'Gaussian', noiseMultiplier } },
  });

test('the noise of the demonstration plan: q = 0.1, ε = 2, δ = 1e-5', () => {
  const z = calibrateNoiseMultiplier({ epsilon: 2, delta: 1e-5, eventFor: sgd(samplingRate(0.1), 105) });
  expect(z).toBeCloseTo(2.2916, 3);
});

test('calibrated on the events of a plan, rounding to the grid included, the plan stays within its target', () => {
  const cohort = { minCohort: 4, colluders: 1, sensitivity: 64 };
  const fixed = { shares: 3, sensitivity: 64, dimension: 21, rate: samplingRate(0.1), openings: 105 };
  const eventFor = (noiseMultiplier: number) =>
    planEvent({ ...fixed, shareStdDev: noiseShare({ ...cohort, noiseMultiplier }), tenantsPerCustomer: 1 });
  const z = calibrateNoiseMultiplier({ epsilon: 2, delta: 1e-5, eventFor });
  expect(epsilonAtMost([eventFor(z)], 1e-5)).toBeLessThanOrEqual(2);
});

// dp-accounting PLD calibration, parameter tolerance 1e-4, interval 5e-4 (1e-4 for q = 0.001)
const published: [q: number, rounds: number, delta: number, ofEpsilon: Record<number, number>][] = [
  [0.1, 200, 1e-5, { 0.5: 10.0758, 1: 5.4272, 2: 3.0045, 4: 1.7617, 8: 1.1297 }],
  [0.02, 1000, 1e-5, { 0.5: 4.5582, 1: 2.5126, 2: 1.4838, 4: 0.9874, 8: 0.734 }],
  [0.01, 1000, 1e-6, { 0.5: 2.7057, 1: 1.5632, 2: 1.0292, 4: 0.7786, 8: 0.6167 }],
  [0.005, 500, 1e-7, { 0.5: 1.3174, 1: 0.9894, 2: 0.8151, 4: 0.6583, 8: 0.5242 }],
  [0.001, 5000, 1e-7, { 0.5: 0.9528, 1: 0.7969, 2: 0.6876, 4: 0.575, 8: 0.4704 }],
  [1, 50, 1e-5, { 0.5: 49.7225, 1: 26.3795, 2: 14.0984, 4: 7.645, 8: 4.2443 }],
];
const each = published.flatMap(([q, rounds, delta, ofEpsilon]) =>
  Object.entries(ofEpsilon).map(([epsilon, z]) => ({ q, rounds, delta, epsilon: Number(epsilon), z })),
);

test.each(each)(
  'q $q, $rounds rounds, δ $delta, ε $epsilon needs z = $z; a ten-thousandth less would not do',
  ({ q, rounds, delta, epsilon, z }) => {
    const eventFor = sgd(q * EVERYBODY, rounds);
    const found = calibrateNoiseMultiplier({ epsilon, delta, eventFor });
    expect(Math.abs(found / z - 1)).toBeLessThan(2e-3); // their interval is coarse for the small multipliers
    expect(epsilonAtMost([eventFor(found)], delta)).toBeLessThanOrEqual(epsilon);
    expect(epsilonAtMost([eventFor(found * (1 - 1.01e-4))], delta)).toBeGreaterThan(epsilon);
    expect(epsilonSpent([eventFor(found)], delta).epsilon).toBeGreaterThan(epsilon); // Rényi needs more noise
  },
);

test('published: jax_privacy, z for ε = 1 and rounds for ε = 2; dp-accounting, one round and 25', () => {
  const eventFor = sgd(0.1 * EVERYBODY, 512);
  expect(calibrateNoiseMultiplier({ epsilon: 1, delta: 1e-6, eventFor })).toBeCloseTo(9.66, 2);
  expect(mostRounds({ epsilon: 2, delta: 1e-6, event: sgd(0.1 * EVERYBODY, 1)(3), most: 1e6 })).toBe(155);
  const once = calibrateNoiseMultiplier({ epsilon: 1, delta: 1e-5, eventFor: sgd(0.01 * EVERYBODY, 1) });
  expect(once / 0.67379294682).toBeCloseTo(1, 4);
  const more = calibrateNoiseMultiplier({ epsilon: 1, delta: 1e-5, eventFor: sgd(0.001 * EVERYBODY, 25) });
  expect(more / (3.20956502598 / 6)).toBeCloseTo(1, 3);
});

test('the odd cases: an unreachable target, nothing released, a target far below what one step explores', () => {
  const target = { epsilon: 1, delta: 1e-5 };
  expect(() => calibrateNoiseMultiplier({ ...target, eventFor: () => ({ type: 'NonPrivate' }) })).toThrow(
    'reaches epsilon 1',
  );
  expect(() => calibrateNoiseMultiplier({ ...target, epsilon: 0, eventFor: sgd(1, 1) })).toThrow(RangeError);
  expect(calibrateNoiseMultiplier({ ...target, eventFor: () => ({ type: 'NoOp' }) })).toBeLessThan(0.1);
  let calls = 0;
  const z = calibrateNoiseMultiplier({
    epsilon: 1e-3,
    delta: 1e-5,
    eventFor: (noiseMultiplier) => {
      calls++;
      return sgd(EVERYBODY, 100)(noiseMultiplier);
    },
  });
  expect(epsilonAtMost([sgd(EVERYBODY, 100)(z)], 1e-5)).toBeLessThanOrEqual(1e-3);
  expect(calls).toBeLessThan(60);
});

test('rounds: none when one is too many, the most when none are too many', () => {
  const event = sgd(0.1 * EVERYBODY, 1)(3);
  expect(mostRounds({ epsilon: 1e-3, delta: 1e-6, event, most: 100 })).toBe(0);
  expect(mostRounds({ epsilon: 50, delta: 1e-6, event, most: 77 })).toBe(77);
  const most = mostRounds({ epsilon: 1, delta: 1e-6, event, most: 1000 });
  expect(epsilonAtMost([{ type: 'SelfComposed', event, count: most }], 1e-6)).toBeLessThanOrEqual(1.0005);
  expect(epsilonAtMost([{ type: 'SelfComposed', event, count: most + 1 }], 1e-6)).toBeGreaterThan(0.9995);
});

test('ε for customers of one, two and three tenants', () => {
  const [one, two, three] = epsilonForCopies([sgd(0.01 * EVERYBODY, 1000)(1)], 1e-6, [1, 2, 3]);
  expect(one! / 2.124515).toBeCloseTo(1, 3);
  expect(two! / 4.5545).toBeCloseTo(1, 3);
  expect(three! / 7.1903).toBeCloseTo(1, 3);
});
