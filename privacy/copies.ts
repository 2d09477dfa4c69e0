/**
 * The same events for a customer whom several tenants know.
 *
 * Each tenant samples for itself, so a customer with m copies moves the sum by k times the sensitivity, k ~ Binomial(m, q):
 * a mixture of Gaussians. That is the worst case over directions and over adaptive releases (Ganesh 2024, arXiv:2401.10294, for
 * groups of m under Poisson sampling), and far cheaper than m-fold group privacy. Sampled all together the copies would cost more; tenants must not
 * share their coins.
 */
import type { PrivacyEvent } from './event.ts';
import { continuousMultiplier } from './mixture.ts';
import { EVERYBODY } from './poisson.ts';

/**
 * What `event` is for a customer in `copies` tenants.
 *
 * @param copies - m ≥ 1
 * @returns `Unsupported`, which costs ∞, where that is not known
 * @throws RangeError when copies is not a positive integer
 */
export function eventForCopies(event: PrivacyEvent, copies: number): PrivacyEvent {
  if (!(Number.isInteger(copies) && copies >= 1)) throw new RangeError(`copies must be at least 1, got ${copies}`);
  if (copies === 1) return event;
  switch (event.type) {
    case 'NoOp':
    case 'NonPrivate':
      return event;
    case 'Gaussian':
      return { type: 'Gaussian', noiseMultiplier: event.noiseMultiplier / copies };
    case 'DiscreteGaussian':
      return { ...event, sensitivity: copies * event.sensitivity };
    case 'SelfComposed':
      return { ...event, event: eventForCopies(event.event, copies) };
    case 'Composed':
      return { type: 'Composed', events: event.events.map((each) => eventForCopies(each, copies)) };
    case 'PoissonSampled':
      return sampledForCopies(event.event, event.rate, copies);
    default:
      return { type: 'Unsupported' };
  }
}

function sampledForCopies(event: PrivacyEvent, rate: number, copies: number): PrivacyEvent {
  const multiplier =
    event.type === 'Gaussian'
      ? event.noiseMultiplier
      : event.type === 'DiscreteGaussian'
        ? continuousMultiplier(event)
        : 0;
  if (!(multiplier > 0 && rate > 0 && rate <= EVERYBODY)) return { type: 'Unsupported' };
  return {
    type: 'MixtureOfGaussians',
    standardDeviation: multiplier,
    sensitivities: Array.from({ length: copies + 1 }, (_, k) => k),
    samplingProbs: binomial(copies, rate / EVERYBODY),
  };
}

/** P[Binomial(n, q) = k] for k from 0 to n. */
function binomial(n: number, q: number): number[] {
  let choose = 1;
  return Array.from({ length: n + 1 }, (_, k) => {
    const probability = choose * q ** k * (1 - q) ** (n - k);
    choose = (choose * (n - k)) / (k + 1);
    return probability;
  });
}
