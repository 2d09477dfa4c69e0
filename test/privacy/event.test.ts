import { expect, test } from 'vitest';
import { knownEvent, privacyEvent } from '../../privacy/event.ts';
import { epsilonSpent } from '../../privacy/rdp.ts';

const plan = {
  type: 'SelfComposed',
  count: 105,
  event: {
    type: 'PoissonSampled',
    rate: 429496730,
    event: { type: 'DiscreteGaussian', noiseVariance: 9e12, sensitivity: 1048576, dimension: 21 },
  },
};
const every = [
  plan,
  { type: 'DiscreteGaussian', noiseVariance: 9e12, sensitivity: 1048576 },
  { type: 'Gaussian', noiseMultiplier: 2 },
  { type: 'MixtureOfGaussians', standardDeviation: 2, sensitivities: [0, 1, 2], samplingProbs: [0.81, 0.18, 0.01] },
  { type: 'Composed', events: [plan, { type: 'NoOp' }, { type: 'NonPrivate' }] },
  { type: 'Unsupported' },
];

test.each(every)('an event reads as it was written: $type', (event) => {
  expect(privacyEvent.parse(JSON.parse(JSON.stringify(event)))).toEqual(event);
});

test.each([
  ['a kind of a later version', { type: 'Skellam', variance: 3 }],
  ['a later kind inside a known one', { ...plan, event: { type: 'Skellam' } }],
  ['a field too many', { type: 'NoOp', note: 'batch of 93' }],
  ['a field too few', { type: 'PoissonSampled', event: { type: 'NoOp' } }],
  ['a sensitivity of zero', { type: 'DiscreteGaussian', noiseVariance: 100, sensitivity: 0 }],
  ['a negative count', { ...plan, count: -1 }],
  ['a probability for a rate', { ...plan.event, rate: 0.1 }],
  ['a rate above 2^32', { ...plan.event, rate: 2 ** 32 + 1 }],
  ['an infinite multiplier', { type: 'Gaussian', noiseMultiplier: Infinity }],
  [
    'fewer probabilities than sensitivities',
    { type: 'MixtureOfGaussians', standardDeviation: 2, sensitivities: [0, 1], samplingProbs: [1] },
  ],
  [
    'probabilities that leave something out',
    { type: 'MixtureOfGaussians', standardDeviation: 2, sensitivities: [0, 1], samplingProbs: [0.5, 0.4] },
  ],
  ['nothing', undefined],
  ['a list', [plan]],
])('%s reads as unsupported and costs infinity', (_, written) => {
  const event = privacyEvent.parse(written);
  expect(event).toEqual({ type: 'Unsupported' });
  expect(epsilonSpent([event], 1e-5).epsilon).toBe(Infinity);
  expect(knownEvent.safeParse(written).success).toBe(false);
});
