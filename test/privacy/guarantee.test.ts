import { expect, test } from 'vitest';
import {
  ACCOUNTED_DELTA_FRACTION,
  guarantees,
  noiseShare,
  openingEvent,
  openingsFor,
  planEvent,
  TRUNCATION_DELTA_FRACTION,
  truncationDelta,
} from '../../privacy/guarantee.ts';
import { epsilonAtMost } from '../../privacy/pld-accountant.ts';
import { EVERYBODY, samplingRate } from '../../privacy/poisson.ts';

const shape = {
  shareStdDev: 1_500_000,
  sensitivity: 2 ** 20,
  dimension: 21,
  rate: samplingRate(0.1),
  openings: 105,
  tenantsPerCustomer: 1,
};

test('a plan’s event is its openings of sampled discrete Gaussian sums', () => {
  expect(planEvent({ ...shape, shares: 3 })).toEqual({
    type: 'SelfComposed',
    count: 105,
    event: {
      type: 'PoissonSampled',
      rate: 429496730,
      event: { type: 'DiscreteGaussian', noiseVariance: 3 * 1_500_000 ** 2, sensitivity: 2 ** 20, dimension: 21 },
    },
  });
});

test('a plan in which everybody takes part claims no sampling', () => {
  expect(openingEvent({ ...shape, shares: 3, rate: EVERYBODY })).toMatchObject({ type: 'DiscreteGaussian' });
});

test('the three epsilon count all certain shares, those that do not collude, and one', () => {
  const eventFor = (shares: number) => planEvent({ ...shape, shares });
  const three = guarantees({ eventFor, delta: 1e-5, minCohort: 5, colluders: 2 });
  expect(three).toEqual({
    release: epsilonAtMost([eventFor(5)], 1e-5),
    coalition: epsilonAtMost([eventFor(3)], 1e-5),
    floor: epsilonAtMost([eventFor(1)], 1e-5),
  });
  expect(three.release).toBeLessThan(three.coalition);
  expect(three.coalition).toBeLessThan(three.floor);
});

test('with nobody colluding the coalition is an outsider, with all but one it is the floor', () => {
  const eventFor = (shares: number) => planEvent({ ...shape, shares });
  const none = guarantees({ eventFor, delta: 1e-5, minCohort: 3, colluders: 0 });
  expect(none.coalition).toBe(none.release);
  const all = guarantees({ eventFor, delta: 1e-5, minCohort: 3, colluders: 2 });
  expect(all.coalition).toBe(all.floor);
});

test('a share is z·Δ / √(n_min − c), rounded up', () => {
  expect(noiseShare({ noiseMultiplier: 2, sensitivity: 1000, minCohort: 5, colluders: 1 })).toBe(1000);
  expect(noiseShare({ noiseMultiplier: 2.001, sensitivity: 1000, minCohort: 5, colluders: 1 })).toBe(1001);
  expect(noiseShare({ noiseMultiplier: 2, sensitivity: 1000, minCohort: 4, colluders: 1 })).toBe(1155);
});

test('the honest shares alone carry the noise the plan was calibrated for', () => {
  for (const [minCohort, colluders] of [
    [4, 1],
    [7, 2],
    [20, 6],
  ] as const) {
    const share = noiseShare({ noiseMultiplier: 2.5, sensitivity: 777, minCohort, colluders });
    expect(share ** 2 * (minCohort - colluders)).toBeGreaterThanOrEqual((2.5 * 777) ** 2);
  }
});

test.each([
  [3, 3],
  [3, -1],
  [3, 1.5],
  [NaN, 0],
])('a cohort of %d with %d colluders is refused', (minCohort, colluders) => {
  expect(() => noiseShare({ noiseMultiplier: 1, sensitivity: 1, minCohort, colluders })).toThrow(RangeError);
});

test('spare openings are five in a hundred, rounded up', () => {
  expect([1, 20, 21, 100, 140, 1000].map(openingsFor)).toEqual([2, 21, 23, 105, 147, 1050]);
});

test('the two parts of delta are the whole', () => {
  expect(ACCOUNTED_DELTA_FRACTION + TRUNCATION_DELTA_FRACTION).toBe(1);
});

/** Chance that one opening over `n` customers draws `most` or more of them. */
function drawsAtLeast(n: number, q: number, most: number): number {
  let [term, sum] = [(1 - q) ** n, 0];
  for (let k = 0; k <= n; k++) {
    if (k >= most) sum += term;
    term *= ((n - k) / (k + 1)) * (q / (1 - q));
  }
  return sum;
}

test('the part of delta for cut batches covers the chance that one more customer could have cut any of them', () => {
  const plan = { customers: 400, rate: samplingRate(0.1), maxBatch: 80, openings: 105, tenantsPerCustomer: 1 };
  const exact = 105 * drawsAtLeast(400, plan.rate / EVERYBODY, 80);
  expect(truncationDelta(plan)).toBeGreaterThanOrEqual(exact);
  expect(truncationDelta(plan)).toBeLessThan(20 * exact);
  // a customer of three tenants could have been cut from any of three batches
  expect(truncationDelta({ ...plan, tenantsPerCustomer: 3 })).toBeCloseTo(3 * truncationDelta(plan), 15);
});

test('a customer of several tenants is priced as a mixture, and three epsilon are higher for it', () => {
  expect(openingEvent({ ...shape, shares: 3, tenantsPerCustomer: 2 })).toMatchObject({
    type: 'MixtureOfGaussians',
    sensitivities: [0, 1, 2],
  });
  const forCopies = (tenantsPerCustomer: number) =>
    guarantees({
      eventFor: (shares) => planEvent({ ...shape, shares, tenantsPerCustomer }),
      delta: 1e-5,
      minCohort: 4,
      colluders: 1,
    });
  const [one, two] = [forCopies(1), forCopies(2)];
  expect(two.release).toBeGreaterThan(2 * one.release);
  expect(two.floor).toBeGreaterThan(2 * one.floor);
});

test('a batch that can hold every customer and one more costs nothing, however many openings', () => {
  expect(truncationDelta({ customers: 50, rate: EVERYBODY, maxBatch: 51, openings: 1e6, tenantsPerCustomer: 1 })).toBe(
    0,
  );
  expect(truncationDelta({ customers: 50, rate: EVERYBODY, maxBatch: 50, openings: 1, tenantsPerCustomer: 1 })).toBe(1);
});
