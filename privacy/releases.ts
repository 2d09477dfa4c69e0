/**
 * Events as the tight accountant sees them: each release a mixture of Gaussians beside one Gaussian, and how often.
 *
 * Promise: an event that is not known, not protected or not sane has no releases (`undefined`), never too few. Sampling
 * amplifies Gaussian noise only; for any other event inside it no amplification is claimed.
 */
import type { PrivacyEvent } from './event.ts';
import { continuousMultiplier, mixtureOf } from './mixture.ts';
import type { GaussianMixture } from './pld.ts';
import { EVERYBODY } from './poisson.ts';

export interface Release {
  readonly mixture: GaussianMixture;
  readonly count: number;
}

/** Everything in `events`, equal releases counted together and all unsampled Gaussians as one; undefined when it costs ∞. */
export function releasesOf(events: readonly PrivacyEvent[]): readonly Release[] | undefined {
  const found: Release[] = [];
  if (!events.every((event) => collect(event, 1, found))) return undefined;
  return merged(found);
}

/** @returns whether the event can be priced */
function collect(event: PrivacyEvent, count: number, into: Release[]): boolean {
  switch (event.type) {
    case 'NoOp':
      return true;
    case 'Gaussian':
      return collectMixture(gaussian(event.noiseMultiplier, EVERYBODY), count, into);
    case 'DiscreteGaussian':
      return collectMixture(gaussian(continuousMultiplier(event), EVERYBODY), count, into);
    case 'MixtureOfGaussians':
      return collectMixture(mixtureOf(event), count, into);
    case 'PoissonSampled': {
      const inner = event.event;
      if (inner.type === 'Gaussian') return collectMixture(gaussian(inner.noiseMultiplier, event.rate), count, into);
      if (inner.type === 'DiscreteGaussian') {
        return collectMixture(gaussian(continuousMultiplier(inner), event.rate), count, into);
      }
      return collect(inner, count, into);
    }
    case 'SelfComposed':
      return Number.isInteger(event.count) && event.count > 0 && collect(event.event, count * event.count, into);
    case 'Composed':
      return event.events.every((each) => collect(each, count, into));
    default: // NonPrivate, Unsupported, and whatever a later version wrote
      return false;
  }
}

function collectMixture(found: GaussianMixture | undefined, count: number, into: Release[]): boolean {
  if (found === undefined) return false;
  if (found.means.length > 0) into.push({ mixture: found, count });
  return true;
}

function gaussian(multiplier: number, rate: number): GaussianMixture | undefined {
  const q = rate / EVERYBODY;
  if (!(multiplier > 0 && q > 0 && q <= 1)) return undefined;
  const mean = 1 / multiplier;
  return q === 1 ? { means: [mean], weights: [1] } : { means: [0, mean], weights: [1 - q, q] };
}

const isGaussian = ({ mixture: { means } }: Release): boolean => means.length === 1;

function merged(found: readonly Release[]): readonly Release[] {
  const sampled = new Map<string, Release>();
  for (const release of found.filter((each) => !isGaussian(each))) {
    const key = JSON.stringify(release.mixture);
    sampled.set(key, { mixture: release.mixture, count: release.count + (sampled.get(key)?.count ?? 0) });
  }
  return withGaussian(found.filter(isGaussian), [...sampled.values()]);
}

/** N(μ₁, 1) and N(μ₂, 1) released together tell as much as N(√(μ₁² + μ₂²), 1): project onto the line between the means. */
function withGaussian(gaussians: readonly Release[], others: readonly Release[]): readonly Release[] {
  if (gaussians.length === 0) return others;
  const squares = gaussians.reduce((sum, { mixture, count }) => sum + count * mixture.means[0]! ** 2, 0);
  return [...others, { mixture: { means: [Math.sqrt(squares)], weights: [1] }, count: 1 }];
}

/** √(Σ count · μ²) when all releases are Gaussian, 0 when there are none; undefined when some are sampled. */
export function gaussianOf(releases: readonly Release[]): number | undefined {
  return releases.every(isGaussian)
    ? Math.sqrt(releases.reduce((sum, { mixture, count }) => sum + count * mixture.means[0]! ** 2, 0))
    : undefined;
}

/** Beyond this many standard deviations one release costs ε > 200: numbers no grid needs to resolve. */
const FARTHEST_MEAN = 20;

/**
 * The releases with stand-ins for those too extreme for the grid: on the high side the Gaussian with the largest mean, which
 * reveals at least as much (hockey-stick divergences are quasi-convex, and N(μ, 1) reveals more as μ grows); on the low side
 * nothing.
 */
export function standInsFor(releases: readonly Release[], side: 'high' | 'low'): readonly Release[] {
  const extreme = ({ mixture }: Release) => mixture.means.at(-1)! > FARTHEST_MEAN;
  if (gaussianOf(releases) !== undefined || !releases.some(extreme)) return releases;
  if (releases.some((each) => isGaussian(each) && extreme(each))) {
    return side === 'low' ? releases.filter(isGaussian) : releases.map(unsampled);
  }
  const rest = releases.filter((each) => !extreme(each));
  if (side === 'low') return rest;
  const gaussians = [...rest.filter(isGaussian), ...releases.filter(extreme).map(unsampled)];
  return standInsFor(
    withGaussian(
      gaussians,
      rest.filter((each) => !isGaussian(each)),
    ),
    side,
  );
}

const unsampled = ({ mixture, count }: Release): Release => ({
  mixture: { means: [mixture.means.at(-1)!], weights: [1] },
  count,
});
