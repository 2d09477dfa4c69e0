/**
 * The tight accountant: what events cost a customer, by composing privacy losses numerically (PLD).
 *
 * Where `rdp.ts` proves one bound, this one holds the exact ε between two that lie a few parts in ten thousand apart.
 * `high` is the one to report. Both directions, add and remove, are composed; the larger counts.
 *
 *   events ──▶ releases ──▶ cells ──▶ loss laws, high and low ──▶ composed, add and remove ──▶ ε of a δ, or δ of an ε
 *
 * Promise: never too low. What is not known, not protected or not sane costs ∞, as in `rdp.ts`. Gaussian releases become
 * one, which has a closed form when it is alone. Discrete Gaussians are priced as DISCRETE-GAUSSIAN.md proves.
 *
 * Valid for parameters (noise, rates, counts) fixed before the first release. For events chosen in view of earlier results
 * there is the filter in `budget.ts`.
 */
import type { PrivacyEvent } from './event.ts';
import { gaussianDelta, gaussianEpsilon, normalQuantile, normalTail } from './normal.ts';
import { compose, type Prepared, type Side } from './pld-compose.ts';
import { answerOn, DIRECTIONS, type Grid, gridFor, type ProfileQuestion } from './pld-grid.ts';
import { gaussianOf, type Release, releasesOf, standInsFor } from './releases.ts';

export interface Bracket {
  readonly low: number;
  readonly high: number;
}

/**
 * Smallest ε such that the composition of `events` is (ε, δ)-DP for one customer, add-or-remove, between two bounds.
 *
 * @param events - everything released about one customer, in any order
 * @param delta - in (0, 1); below 1e-50 sampled events cost ∞
 * @returns low ≤ ε ≤ high; high is the one to report; Infinity when nothing finite holds
 * @throws RangeError when delta is outside (0, 1)
 * @see Doroshenko, Ghazi, Kamath, Kumar, Manurangsi 2022 (arXiv:2207.04380); Koskela, Jälkö, Honkela 2020 (arXiv:1906.03049)
 */
export function epsilonBracket(events: readonly PrivacyEvent[], delta: number): Bracket {
  requireProbability('delta', delta);
  return bracket(events, { aim: { delta }, ...epsilonAt(delta) });
}

/** `epsilonBracket(events, delta).high`, in half the time, and at once when it was asked before. */
export function epsilonAtMost(events: readonly PrivacyEvent[], delta: number): number {
  requireProbability('delta', delta);
  const key = JSON.stringify([events, delta]);
  let epsilon = known.get(key);
  if (epsilon === undefined) {
    epsilon = largest(releasesOf(events), 'high', { aim: { delta }, ...epsilonAt(delta) });
    if (known.size >= 1000) known.clear();
    known.set(key, epsilon);
  }
  return epsilon;
}

/** Answers already given: plans are checked, shown and audited many times. */
const known = new Map<string, number>();

/**
 * Smallest δ such that the composition of `events` is (ε, δ)-DP for one customer, add-or-remove, between two bounds.
 *
 * @param epsilon - ≥ 0
 * @returns low ≤ δ ≤ high; high is the one to report; 1 when nothing better holds
 * @throws RangeError when epsilon is negative
 */
export function deltaBracket(events: readonly PrivacyEvent[], epsilon: number): Bracket {
  if (!(epsilon >= 0)) throw new RangeError(`epsilon must be at least 0, got ${epsilon}`);
  return bracket(events, {
    aim: { epsilon },
    worst: 1,
    ofGaussian: (mu) => gaussianDelta(mu, epsilon),
    ofProfile: (profile, side) => profile.deltaAt(epsilon, side),
    slackOf: (profile) => profile.slackAt(epsilon),
  });
}

export interface AttackBound {
  /** in (0, 1]; whoever errs on absent customers at the given rate recognises at most this part of the present ones */
  readonly truePositiveRate: number;
  /** μ of the Gaussian mechanism whose best attacker has these two rates (Dong, Roth, Su 2022, arXiv:1905.02383) */
  readonly mu: number;
}

/**
 * What the events can at most tell an attacker about whether a customer took part (or did not: the worse of the two).
 *
 * For any test and any real ε, true positives ≤ e^ε · false positives + δ(ε); the smallest right side is the bound.
 *
 * @param falsePositiveRate - in (0, 1)
 * @throws RangeError when falsePositiveRate is outside (0, 1)
 */
export function attackBound(events: readonly PrivacyEvent[], falsePositiveRate: number): AttackBound {
  requireProbability('falsePositiveRate', falsePositiveRate);
  const truePositiveRate = largest(releasesOf(events), 'high', {
    aim: { delta: falsePositiveRate / 10 },
    worst: 1,
    ofGaussian: (mu) => normalTail(-normalQuantile(falsePositiveRate) - mu),
    ofProfile: ({ first, step, points, deltaAt }) => {
      let least = 1;
      for (let epsilon = first; epsilon < first + points * step; epsilon += step) {
        least = Math.min(least, Math.exp(epsilon) * falsePositiveRate + deltaAt(epsilon, 'high'));
      }
      return least;
    },
    slackOf: () => 0,
  });
  return { truePositiveRate, mu: normalQuantile(truePositiveRate) - normalQuantile(falsePositiveRate) };
}

/**
 * The upper ε of everything in `before` and `count` times `event`, for any count, again and again: for a display that grows
 * with every round. The first call in each doubling of the count prepares the others.
 *
 * @throws RangeError when delta is outside (0, 1)
 */
export function epsilonPerCount(of: {
  readonly event: PrivacyEvent;
  readonly delta: number;
  readonly before?: readonly PrivacyEvent[];
}): (count: number) => number {
  requireProbability('delta', of.delta);
  const { ofGaussian, ofProfile } = epsilonAt(of.delta);
  const [before, each] = [releasesOf(of.before ?? []), releasesOf([of.event])];
  const doublings = new Map<number, readonly Prepared[]>();
  return (count) => {
    if (before === undefined || (each === undefined && count > 0)) return Infinity;
    // Gaussians of `event` stay apart from those before: merged, they would be another mixture at each count.
    const at = (times: number): Release[] => [
      ...standInsFor(before, 'high'),
      ...standInsFor(each ?? [], 'high').map(({ mixture, count: once }) => ({ mixture, count: times * once })),
    ];
    const releases = at(count);
    const mu = gaussianOf(releases);
    if (mu !== undefined) return ofGaussian(mu);
    const doubling = Math.max(0, Math.ceil(Math.log2(count)));
    let prepared = doublings.get(doubling);
    if (prepared === undefined) {
      const question = { aim: { delta: of.delta }, ...epsilonAt(of.delta) };
      const grid = gridFor(at(2 ** doubling), question.aim);
      prepared = DIRECTIONS.map((direction) => answerOn(grid, 'high', direction, question).prepared);
      doublings.set(doubling, prepared);
    }
    const counts = releases.map((release) => release.count);
    return Math.max(...prepared.map((each) => ofProfile(compose(each, counts), 'high')));
  };
}

/** A question about events, what to say when nothing holds, and the answer for a lone Gaussian. */
interface Question extends ProfileQuestion {
  readonly worst: number;
  readonly ofGaussian: (mu: number) => number;
}

const epsilonAt = (delta: number): Omit<Question, 'aim'> => ({
  worst: Infinity,
  ofGaussian: (mu) => gaussianEpsilon(mu, delta),
  ofProfile: (profile, side) => Math.max(0, profile.epsilonAt(delta, side)),
  slackOf: (profile, epsilon) => profile.slackAt(epsilon),
});

/** Relative error of a closed form, and more. */
const CLOSED_FORM_ERROR = 1e-11;

function bracket(events: readonly PrivacyEvent[], question: Question): Bracket {
  const releases = releasesOf(events);
  const grids = new Map<readonly Release[], Grid>();
  const high = largest(releases, 'high', question, grids);
  return { low: Math.min(high, largest(releases, 'low', question, grids)), high };
}

/** The answer in the worse direction. */
function largest(
  releases: readonly Release[] | undefined,
  side: Side,
  question: Question,
  grids?: Map<readonly Release[], Grid>,
): number {
  if (releases === undefined) return question.worst;
  const priced = standInsFor(releases, side);
  const mu = gaussianOf(priced);
  if (mu !== undefined) {
    return Math.min(question.worst, question.ofGaussian(mu) * (1 + (side === 'high' ? 1 : -1) * CLOSED_FORM_ERROR));
  }
  const grid = grids?.get(priced) ?? gridFor(priced, question.aim);
  grids?.set(priced, grid);
  const answers = DIRECTIONS.map((direction) => answerOn(grid, side, direction, question).answer);
  return Math.min(question.worst, Math.max(...answers));
}

function requireProbability(name: string, value: number): void {
  if (!(value > 0 && value < 1)) throw new RangeError(`${name} must lie in (0, 1), got ${value}`);
}
