import { expect, test } from 'vitest';
import { eventForCopies } from '../../privacy/copies.ts';
import type { PrivacyEvent } from '../../privacy/event.ts';
import { epsilonBracket } from '../../privacy/pld-accountant.ts';
import { EVERYBODY, samplingRate } from '../../privacy/poisson.ts';

const rounds = (noiseMultiplier: number, q: number, count: number): PrivacyEvent => ({
  type: 'SelfComposed',
  count,
  event: { type: 'PoissonSampled', rate: q * EVERYBODY, event: { type: 'Gaussian', noiseMultiplier } },
});

// dp-accounting PLD, MixtureOfGaussiansDpEvent, interval 1e-3
test.each([
  [1, 0.01, 1000, 1e-6, 1, 2.1253],
  [1, 0.01, 1000, 1e-6, 2, 4.5545],
  [1, 0.01, 1000, 1e-6, 3, 7.1903],
  [1, 0.01, 1000, 1e-6, 5, 13.022],
  [1, 0.01, 1000, 1e-6, 10, 30.625],
  [1.5, 0.02, 1000, 1e-6, 2, 4.8672],
  [1.5, 0.02, 1000, 1e-6, 3, 7.77],
  [1.5, 0.02, 1000, 1e-6, 5, 14.35],
  [1.5, 0.02, 1000, 1e-6, 10, 35.06],
  [2, 0.1, 200, 1e-5, 2, 7.5615],
  [2, 0.1, 200, 1e-5, 3, 12.44],
  [2, 0.1, 200, 1e-5, 5, 24.115],
])('z %d, q %d, %d rounds, δ %d: a customer in %d tenants has ε %d', (z, q, count, delta, copies, epsilon) => {
  const { low, high } = epsilonBracket([eventForCopies(rounds(z, q, count), copies)], delta);
  expect(low).toBeLessThan(epsilon);
  expect(low).toBeGreaterThan(epsilon * 0.999);
  expect(high).toBeGreaterThan(epsilon * 0.999);
  expect(high).toBeLessThan(epsilon * 1.0005);
});

test('the copies sampled together would cost far more', () => {
  const together = rounds(0.5, 0.01, 1000); // twice the sensitivity
  expect(epsilonBracket([together], 1e-6).high).toBeCloseTo(15.48, 2);
});

test('without sampling, m copies are m times the sensitivity', () => {
  expect(eventForCopies({ type: 'Gaussian', noiseMultiplier: 6 }, 3)).toEqual({ type: 'Gaussian', noiseMultiplier: 2 });
  const discrete: PrivacyEvent = { type: 'DiscreteGaussian', noiseVariance: 1e6, sensitivity: 7, dimension: 3 };
  expect(eventForCopies(discrete, 2)).toEqual({ ...discrete, sensitivity: 14 });
});

test('sampled discrete noise becomes a mixture with the multiplier of its continuous twin', () => {
  const discrete: PrivacyEvent = { type: 'DiscreteGaussian', noiseVariance: 116, sensitivity: 5 };
  const rate = samplingRate(0.25);
  expect(eventForCopies({ type: 'PoissonSampled', rate, event: discrete }, 2)).toEqual({
    type: 'MixtureOfGaussians',
    standardDeviation: 2,
    sensitivities: [0, 1, 2],
    samplingProbs: [0.5625, 0.375, 0.0625],
  });
});

test('a composition is that of the copies of each; one copy is the event itself', () => {
  const event = rounds(1, 0.5, 10);
  expect(eventForCopies(event, 1)).toBe(event);
  const composed: PrivacyEvent = { type: 'Composed', events: [event, { type: 'NoOp' }, { type: 'NonPrivate' }] };
  expect(eventForCopies(composed, 4)).toEqual({
    type: 'Composed',
    events: [eventForCopies(event, 4), { type: 'NoOp' }, { type: 'NonPrivate' }],
  });
});

test('what is not known for several copies costs infinity', () => {
  const unknown = [
    { type: 'Unsupported' },
    { type: 'Skellam' },
    { type: 'MixtureOfGaussians', standardDeviation: 1, sensitivities: [1], samplingProbs: [1] },
    { type: 'PoissonSampled', rate: 5, event: rounds(1, 0.5, 10) },
    { type: 'PoissonSampled', rate: 5, event: { type: 'Gaussian', noiseMultiplier: 0 } },
    { type: 'PoissonSampled', rate: 0, event: { type: 'Gaussian', noiseMultiplier: 1 } },
  ] as PrivacyEvent[];
  for (const event of unknown) expect(eventForCopies(event, 2)).toEqual({ type: 'Unsupported' });
});

test.each([0, -1, 1.5, NaN])('%d copies are refused', (copies) => {
  expect(() => eventForCopies({ type: 'NoOp' }, copies)).toThrow(RangeError);
});
