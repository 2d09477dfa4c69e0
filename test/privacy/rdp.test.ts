import fc from 'fast-check';
import { expect, test } from 'vitest';
import { eventForCopies } from '../../privacy/copies.ts';
import type { PrivacyEvent } from '../../privacy/event.ts';
import { continuousMultiplier } from '../../privacy/mixture.ts';
import { epsilonBracket } from '../../privacy/pld-accountant.ts';
import { EVERYBODY, samplingRate } from '../../privacy/poisson.ts';
import { epsilonSpent, ORDERS, renyiCurve } from '../../privacy/rdp.ts';
import { vectors } from './vectors.ts';

const gaussian = (noiseMultiplier: number): PrivacyEvent => ({ type: 'Gaussian', noiseMultiplier });
/** Sampled with exactly q: the accountant itself does not ask for a whole numerator. */
const sampled = (q: number, event: PrivacyEvent): PrivacyEvent => ({
  type: 'PoissonSampled',
  rate: q * EVERYBODY,
  event,
});
const times = (count: number, event: PrivacyEvent): PrivacyEvent => ({ type: 'SelfComposed', count, event });
const at = (order: number, event: PrivacyEvent): number => renyiCurve(event)[ORDERS.indexOf(order)]!;

interface Divergence {
  noiseMultiplier: number;
  q: number;
  order: number;
  divergence: number;
}
const divergences = vectors<{ rows: Divergence[] }>('renyi-divergences').rows;

test('the orders are those of dp-accounting', () => {
  expect(ORDERS).toHaveLength(156);
  expect([ORDERS[0], ORDERS[98], ORDERS[99], ORDERS.at(-1)]).toEqual([1.1, 10.9, 11, 1024]);
});

test.each(divergences.filter(({ order }) => ORDERS.includes(order)))(
  'a divergence agrees with quadrature in 40 digits: z = $noiseMultiplier, q = $q, order $order',
  (row) => {
    const ours = at(row.order, sampled(row.q, gaussian(row.noiseMultiplier)));
    expect(Math.abs(ours / row.divergence - 1)).toBeLessThan(1e-9);
  },
);

test('a divergence without sampling is order / 2z²', () => {
  for (const order of [1.1, 2, 63, 1024]) expect(at(order, gaussian(3))).toBeCloseTo(order / 18, 14);
  expect(renyiCurve(sampled(1, gaussian(3)))).toEqual(renyiCurve(gaussian(3)));
});

test('sampling never costs more than not sampling, and more at a higher rate, also at absurd multipliers', () => {
  for (const z of [0.01, 0.1, 0.3, 1, 10, 300]) {
    const curves = [1e-6, 1e-3, 0.2, 0.9, 0.999, 1].map((q) => renyiCurve(sampled(q, gaussian(z))));
    for (const [i, curve] of curves.slice(1).entries()) {
      for (let k = 0; k < ORDERS.length; k++) {
        expect(curves[i]![k]).toBeGreaterThan(0);
        expect(curves[i]![k]).toBeLessThanOrEqual(curve[k]! * (1 + 1e-12));
      }
    }
  }
});

interface Reference {
  name: string;
  sigma: number;
  q: number;
  T: number;
  delta: number;
  rdp: number;
  exact: number;
}
const references = vectors<{ rows: Reference[] }>('epsilon-references').rows;

test('there are 41 reference configurations', () => expect(references).toHaveLength(41));

test.each(references)(
  'epsilon is at most that of dp-accounting and at least the exact one: $name, z $sigma, q $q, $T rounds, δ $delta',
  (row) => {
    const { epsilon } = epsilonSpent([times(row.T, sampled(row.q, gaussian(row.sigma)))], row.delta);
    expect(epsilon).toBeLessThanOrEqual(row.rdp + 1e-6);
    expect(epsilon).toBeGreaterThanOrEqual(row.exact);
  },
);

test('published values: Opacus, and the order that proves TF-Privacy’s', () => {
  // opacus tests/accountants_test.py:94-104
  const opacus = epsilonSpent([times(2250, sampled(0.04, gaussian(1.5)))], 1e-5);
  expect(opacus.epsilon).toBeCloseTo(7.32911117143, 8);
  expect(opacus.order).toBe(3.9);
  // tf-privacy compute_dp_sgd_privacy_test.py:42
  const tfPrivacy = epsilonSpent([times(6000, sampled(0.0025, gaussian(1.3)))], 1e-5);
  expect(tfPrivacy).toEqual({ epsilon: expect.closeTo(0.7242234026109595, 10), order: 19 });
});

test('the published per-order values are met or beaten', () => {
  // dp-accounting rdp_privacy_accountant_test.py:508-534, 50 steps; its first one loses signs of a series and is too high
  const fifty = times(50, sampled(0.01, gaussian(2.5)));
  expect(at(1.5, fifty)).toBeCloseTo(6.50070897e-4, 11);
  expect(at(1.5, fifty)).toBeLessThanOrEqual(6.70579741e-4);
  expect(at(2.5, fifty)).toBeCloseTo(1.085418056e-3, 11);
  expect(at(5, fifty)).toBeCloseTo(2.18075656e-3, 10);
  expect(at(50, fifty)).toBeCloseTo(2.38460375e-2, 9);
});

const leaf = fc.oneof(
  fc.record({ type: fc.constant('Gaussian' as const), noiseMultiplier: fc.double({ min: 0.3, max: 50, noNaN: true }) }),
  fc.record({
    type: fc.constant('DiscreteGaussian' as const),
    noiseVariance: fc.integer({ min: 36, max: 10 ** 9 }),
    sensitivity: fc.integer({ min: 1, max: 1000 }),
  }),
  fc.constantFrom<PrivacyEvent>({ type: 'NonPrivate' }, { type: 'NoOp' }, { type: 'Unsupported' }),
);
const { event: anyEvent } = fc.letrec<{ event: PrivacyEvent }>((tie) => ({
  event: fc.oneof(
    { maxDepth: 2 },
    leaf,
    fc.record({
      type: fc.constant('PoissonSampled' as const),
      rate: fc.integer({ min: 1, max: EVERYBODY }),
      event: leaf,
    }),
    fc.record({
      type: fc.constant('SelfComposed' as const),
      count: fc.integer({ min: 1, max: 50 }),
      event: tie('event'),
    }),
    fc.record({ type: fc.constant('Composed' as const), events: fc.array(tie('event'), { maxLength: 3 }) }),
  ),
}));

test('n copies of any event cost n curves, written one by one or as a count', () => {
  fc.assert(
    fc.property(anyEvent, fc.integer({ min: 1, max: 9 }), (event, n) => {
      const one = renyiCurve(event);
      const counted = renyiCurve(times(n, event));
      const listed = renyiCurve({ type: 'Composed', events: new Array<PrivacyEvent>(n).fill(event) });
      for (let i = 0; i < ORDERS.length; i++) {
        const expected = n * one[i]!;
        for (const curve of [counted, listed]) {
          expect(curve[i] === expected || Math.abs(curve[i]! / expected - 1) < 1e-12).toBe(true);
        }
      }
    }),
    { numRuns: 60 },
  );
});

test('more events never cost less, and the order of events does not matter', () => {
  const events = [times(50, sampled(0.1, gaussian(2))), gaussian(9), sampled(0.01, gaussian(0.8))];
  const { epsilon } = epsilonSpent(events, 1e-6);
  expect(epsilonSpent([...events].reverse(), 1e-6).epsilon).toBeCloseTo(epsilon, 12);
  for (const event of events) {
    expect(
      epsilonSpent(
        events.filter((other) => other !== event),
        1e-6,
      ).epsilon,
    ).toBeLessThan(epsilon);
    expect(epsilonSpent([...events, event], 1e-6).epsilon).toBeGreaterThan(epsilon);
  }
});

test('discrete noise is priced as continuous noise of variance σ² − 16', () => {
  const discrete: PrivacyEvent = { type: 'DiscreteGaussian', noiseVariance: 116, sensitivity: 5 };
  expect(continuousMultiplier(discrete)).toBe(2);
  expect(renyiCurve(sampled(0.1, discrete))).toEqual(renyiCurve(sampled(0.1, gaussian(2))));
  expect(epsilonSpent([{ ...discrete, noiseVariance: 16 }], 1e-5).epsilon).toBe(Infinity);
});

test('sampling a composition claims no amplification', () => {
  const composed: PrivacyEvent = { type: 'Composed', events: [gaussian(2), gaussian(3)] };
  expect(renyiCurve(sampled(0.01, composed))).toEqual(renyiCurve(composed));
  expect(renyiCurve(sampled(0.01, times(2, gaussian(2))))).toEqual(renyiCurve(times(2, gaussian(2))));
  expect(renyiCurve(sampled(0.01, sampled(0.01, gaussian(2))))).toEqual(renyiCurve(sampled(0.01, gaussian(2))));
});

test('what is not protected, not known or not sane costs infinity', () => {
  const infinite = [
    { type: 'NonPrivate' },
    { type: 'Unsupported' },
    { type: 'Skellam', variance: 100 },
    gaussian(0),
    gaussian(NaN),
    sampled(0, gaussian(1)),
    sampled(1.5, gaussian(1)),
    sampled(0.001, { type: 'NonPrivate' }),
  ] as PrivacyEvent[];
  for (const event of infinite) expect(epsilonSpent([gaussian(5), event], 1e-5).epsilon).toBe(Infinity);
});

test('nothing costs nothing', () => {
  expect(epsilonSpent([], 1e-300).epsilon).toBe(0);
  expect(epsilonSpent([{ type: 'NoOp' }, times(5, { type: 'NoOp' })], 1e-10).epsilon).toBe(0);
});

test.each([0, 1, -1, NaN])('a delta of %d is refused', (delta) => {
  expect(() => epsilonSpent([], delta)).toThrow(RangeError);
});

test('a pinned order proves no less than it can, and an order that has no curve proves nothing', () => {
  const events = [times(100, sampled(0.1, gaussian(2)))];
  const best = epsilonSpent(events, 1e-5);
  expect(epsilonSpent(events, 1e-5, [best.order])).toEqual(best);
  expect(epsilonSpent(events, 1e-5, [2]).epsilon).toBeGreaterThan(best.epsilon);
  expect(epsilonSpent(events, 1e-5, [2.05]).epsilon).toBe(Infinity);
});

const mixture = (standardDeviation: number, sensitivities: number[], samplingProbs: number[]): PrivacyEvent => ({
  type: 'MixtureOfGaussians',
  standardDeviation,
  sensitivities,
  samplingProbs,
});

test('a mixture of nothing and one customer is the sampled Gaussian', () => {
  for (const [z, q] of [
    [0.7, 0.01],
    [2, 0.1],
    [0.3, 0.5],
    [20, 0.9],
  ] as const) {
    const [mixed, single] = [mixture(z, [0, 1], [1 - q, q]), sampled(q, gaussian(z))].map(renyiCurve);
    for (let k = 0; k < ORDERS.length; k++) expect(mixed![k]).toBeGreaterThanOrEqual(single![k]! * (1 - 1e-9));
    for (let k = 0; k < 100; k++) expect(mixed![k]! / single![k]!).toBeCloseTo(1, 8);
  }
});

test('at whole orders the divergence of a mixture is its multinomial sum', () => {
  const [sigma, sensitivities, weights] = [1.7, [0, 1, 2, 3], [0.5, 0.3, 0.15, 0.05]];
  const mu = sensitivities.map((each) => each / sigma);
  let [second, third] = [0, 0];
  for (const [i, a] of mu.entries()) {
    for (const [j, b] of mu.entries()) {
      second += weights[i]! * weights[j]! * Math.exp(a * b);
      for (const [k, c] of mu.entries()) {
        third += weights[i]! * weights[j]! * weights[k]! * Math.exp(a * b + a * c + b * c);
      }
    }
  }
  const event = mixture(sigma, sensitivities, weights);
  expect(at(2, event)).toBeCloseTo(Math.log(second), 10);
  expect(at(3, event)).toBeCloseTo(Math.log(third) / 2, 10);
});

test('a mixture costs the larger direction, and one that always moves the sum is priced from where it moves it to', () => {
  // N(1, 1) beside N(0, 1), split in two: the same law
  for (const order of [1.1, 2, 8.5, 60, 1024]) {
    expect(at(order, mixture(1, [1, 1], [0.4, 0.6]))).toBeCloseTo(order / 2, 9);
    expect(at(order, mixture(1, [2, 4], [1 - 1e-9, 1e-9]))).toBeGreaterThanOrEqual(2 * order * (1 - 1e-6));
  }
  // seldom nobody: who is there is found by the add direction at once
  const often = mixture(1, [0, 6], [1e-9, 1 - 1e-9]);
  const add = Math.log(integral((x) => phi(x) * (phi(x) / (1e-9 * phi(x) + (1 - 1e-9) * phi(x - 6))) ** 1)) / 1;
  expect(at(2, often)).toBeGreaterThanOrEqual(add * (1 - 1e-9));
  expect(renyiCurve(mixture(1, [0, 0], [0.5, 0.5]))).toEqual(renyiCurve({ type: 'NoOp' }));
  expect(at(2, mixture(1, [0, 1], [0.7, 0.7]))).toBe(Infinity);
});

const phi = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
function integral(f: (x: number) => number): number {
  let sum = 0;
  for (let x = -30; x <= 30; x += 1 / 64) sum += f(x) / 64;
  return sum;
}

test('more copies of a customer cost more, and never less than the tight accountant finds', () => {
  const opening: PrivacyEvent = { type: 'PoissonSampled', rate: samplingRate(0.1), event: gaussian(2) };
  let before = 0;
  for (const copies of [1, 2, 3]) {
    const events = [times(200, eventForCopies(opening, copies))];
    const { epsilon } = epsilonSpent(events, 1e-5);
    const tight = epsilonBracket(events, 1e-5).high;
    expect(epsilon).toBeGreaterThan(tight);
    expect(epsilon).toBeLessThan(1.15 * tight);
    expect(epsilon).toBeGreaterThan(before);
    before = epsilon;
  }
});
