import { expect, test } from 'vitest';
import type { PrivacyEvent } from '../../privacy/event.ts';
import { EVERYBODY } from '../../privacy/poisson.ts';
import { gaussianOf, releasesOf, standInsFor } from '../../privacy/releases.ts';

const gaussian = (noiseMultiplier: number): PrivacyEvent => ({ type: 'Gaussian', noiseMultiplier });
const sampled = (q: number, event: PrivacyEvent): PrivacyEvent => ({
  type: 'PoissonSampled',
  rate: q * EVERYBODY,
  event,
});
const times = (count: number, event: PrivacyEvent): PrivacyEvent => ({ type: 'SelfComposed', count, event });
const mixture = (sensitivities: number[], samplingProbs: number[], standardDeviation = 2): PrivacyEvent => ({
  type: 'MixtureOfGaussians',
  standardDeviation,
  sensitivities,
  samplingProbs,
});

test('equal releases are counted together, however they are nested', () => {
  const one = sampled(0.25, gaussian(2));
  const nested: PrivacyEvent = { type: 'Composed', events: [one, times(3, { type: 'Composed', events: [one, one] })] };
  expect(releasesOf([nested, times(5, one)])).toEqual([
    { mixture: { means: [0, 0.5], weights: [0.75, 0.25] }, count: 12 },
  ]);
});

test('unsampled Gaussians become one: 1/z² adds up', () => {
  const releases = releasesOf([
    times(3, gaussian(2)),
    gaussian(1),
    sampled(1, gaussian(2)),
    sampled(0.5, gaussian(4)),
  ])!;
  expect(releases).toHaveLength(2);
  expect(releases[1]).toEqual({ mixture: { means: [Math.sqrt(2)], weights: [1] }, count: 1 });
  expect(gaussianOf(releases)).toBeUndefined();
  expect(gaussianOf(releasesOf([times(4, gaussian(2))])!)).toBe(1);
  expect(gaussianOf([])).toBe(0);
});

test('discrete noise becomes continuous noise of variance σ² − 16', () => {
  const discrete: PrivacyEvent = { type: 'DiscreteGaussian', noiseVariance: 116, sensitivity: 5 };
  expect(releasesOf([sampled(0.1, discrete)])).toEqual(releasesOf([sampled(0.1, gaussian(2))]));
  expect(releasesOf([{ ...discrete, noiseVariance: 16 }])).toBeUndefined();
});

test('sampling anything but Gaussian noise claims no amplification', () => {
  const twice = times(2, gaussian(2));
  expect(releasesOf([sampled(0.01, twice)])).toEqual(releasesOf([twice]));
  const mixed = mixture([0, 1], [0.5, 0.5]);
  expect(releasesOf([sampled(0.01, mixed)])).toEqual(releasesOf([mixed]));
});

test('a mixture is read whatever order it is written in, without what never occurs', () => {
  const read = releasesOf([mixture([2, 0, 4, 2, 6], [0.125, 0.5, 0.25, 0.125, 0])]);
  expect(read).toEqual([{ mixture: { means: [0, 1, 2], weights: [0.5, 0.25, 0.25] }, count: 1 }]);
  expect(releasesOf([mixture([0, 1], [0.75, 0.25])])).toEqual(releasesOf([sampled(0.25, gaussian(2))]));
  expect(releasesOf([mixture([0], [1])])).toEqual([]);
  expect(releasesOf([mixture([3], [1])])).toEqual(releasesOf([gaussian(2 / 3)]));
});

test('what is not protected, not known or not sane has no releases', () => {
  const infinite = [
    { type: 'NonPrivate' },
    { type: 'Unsupported' },
    { type: 'Skellam', variance: 100 },
    gaussian(0),
    gaussian(NaN),
    sampled(0, gaussian(1)),
    sampled(1.5, gaussian(1)),
    sampled(0.001, { type: 'NonPrivate' }),
    times(0, gaussian(1)),
    times(1.5, gaussian(1)),
    mixture([0, 1], [0.5]),
    mixture([0, 1], [0.5, 0.4]),
    mixture([0, -1], [0.5, 0.5]),
    mixture([0, 1], [1.5, -0.5]),
    mixture([0, 1], [0.5, 0.5], 0),
    mixture([0, Infinity], [0.5, 0.5]),
  ] as PrivacyEvent[];
  for (const event of infinite) expect(releasesOf([gaussian(5), event]), JSON.stringify(event)).toBeUndefined();
  expect(releasesOf([{ type: 'NoOp' }, times(5, { type: 'NoOp' })])).toEqual([]);
});

test('a release too extreme for the grid is replaced by more on the high side and by less on the low one', () => {
  const [extreme, plain] = [sampled(0.01, gaussian(0.04)), sampled(0.1, gaussian(2))];
  const both = releasesOf([extreme, plain, gaussian(1)])!;
  expect(standInsFor(both, 'low')).toEqual(releasesOf([plain, gaussian(1)]));
  // 25² + 1² is itself too much for the grid: then nothing is sampled any more
  expect(gaussianOf(standInsFor(both, 'high'))).toBeCloseTo(Math.sqrt(25 ** 2 + 1 + 0.25), 9);
  const usual = releasesOf([plain, gaussian(1)])!;
  expect(standInsFor(usual, 'high')).toBe(usual);
  expect(standInsFor(usual, 'low')).toBe(usual);
});
