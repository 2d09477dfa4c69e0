/**
 * What a plan promises a customer, and against whom.
 *
 *   release     an outsider                              n_min shares of noise stand between
 *   coalition   the coordinator and c tenants together   n_min − c shares; calibrated, charged, compared with budgets
 *   floor       everybody else                           one share
 *
 * Promise: all three are known when the plan is signed. They count the shares that are certain, never those of whoever
 * happens to be there, and no plan shows one of them without the others.
 *
 * Batches of limited size. A plan fixes `maxBatch`, so a batch that comes out larger is cut, and a cut batch is no Poisson
 * sample. Let n be the customers of the tenant that hold without the one in question, and G the event that in no opening
 * `maxBatch` or more of these n are drawn. Under G no batch is cut, with that customer or without. G looks only at the
 * other customers' coins, so it is as likely in both worlds, and given any draw of theirs the customer's own coin is
 * independent: the sampled Gaussian bound holds for each such draw, hence for their mixture given G, and through every
 * opening. For any set S of outcomes
 *
 *   P[out ∈ S] ≤ P[out ∈ S, G] + P[not G] ≤ e^ε · P[out′ ∈ S, G] + δ′ + P[not G] ≤ e^ε · P[out′ ∈ S] + δ′ + P[not G]
 *
 * and P[not G] ≤ openings · P[Bin(n, q) > maxBatch − 1] (union bound): this is `truncationDelta`. A plan's δ is cut in two:
 * δ′ = (1 − 2^-20)·δ is accounted here, 2^-20·δ pays for P[not G], and a client takes no part where that is not enough. To
 * condition on overflow in each world by itself would cost a factor 1 + e^ε more. Other tenants' batches are the same
 * random variables in both worlds; they may be cut without harm.
 */
import { eventForCopies } from './copies.ts';
import type { PrivacyEvent } from './event.ts';
import { epsilonAtMost } from './pld-accountant.ts';
import { EVERYBODY, overflowProbability, type SamplingRate } from './poisson.ts';

/** Part of δ that pays for cutting batches at `maxBatch`. */
export const TRUNCATION_DELTA_FRACTION: number = 2 ** -20;

/** Part of δ that remains for the accountant. */
export const ACCOUNTED_DELTA_FRACTION: number = 1 - TRUNCATION_DELTA_FRACTION;

export interface Cohort {
  /** n_min: with fewer tenants than this nothing is opened */
  readonly minCohort: number;
  /** c: tenants that may work together with the coordinator */
  readonly colluders: number;
}

/** The three ε, at one δ. They stand together or not at all. */
export interface Guarantees {
  readonly release: number;
  readonly coalition: number;
  readonly floor: number;
}

/**
 * The three ε of a plan, by the tight accountant: a plan's events are fixed before its first release.
 *
 * @param eventFor - the plan's event when the noise in a sum is that of `shares` tenants
 * @param delta - what the accountant may use: the plan's δ times ACCOUNTED_DELTA_FRACTION
 * @throws RangeError when delta is out of range, or not 0 ≤ colluders < minCohort
 */
export function guarantees(
  plan: Cohort & { readonly eventFor: (shares: number) => PrivacyEvent; readonly delta: number },
): Guarantees {
  const honest = honestShares(plan);
  const epsilonFor = (shares: number) => epsilonAtMost([plan.eventFor(shares)], plan.delta);
  return { release: epsilonFor(plan.minCohort), coalition: epsilonFor(honest), floor: epsilonFor(1) };
}

/**
 * Standard deviation of one tenant's share, in grid steps: ⌈z·Δ / √(n_min − c)⌉, so that the shares of the tenants that
 * are certainly honest and certainly there carry the noise by themselves.
 *
 * @param sensitivity - Δ in grid steps
 * @throws RangeError when not 0 ≤ colluders < minCohort
 */
export function noiseShare(plan: Cohort & { readonly noiseMultiplier: number; readonly sensitivity: number }): number {
  return Math.ceil((plan.noiseMultiplier * plan.sensitivity) / Math.sqrt(honestShares(plan)));
}

/** Openings a plan is calibrated for: its rounds and 5 % spare, rounded up, for rounds that have to be held again. */
export function openingsFor(rounds: number): number {
  return rounds + Math.ceil(rounds / 20);
}

export interface PlanShape {
  /** of one share, in grid steps */
  readonly shareStdDev: number;
  /** shares that count */
  readonly shares: number;
  /** in grid steps */
  readonly sensitivity: number;
  readonly dimension: number;
  readonly rate: SamplingRate;
  /** sums that may be opened */
  readonly openings: number;
  /** tenants one customer may be a customer of, m; each samples for itself (copies.ts) */
  readonly tenantsPerCustomer: number;
}

/** Everything a plan may release about one customer. */
export function planEvent(plan: PlanShape): PrivacyEvent {
  return { type: 'SelfComposed', event: openingEvent(plan), count: plan.openings };
}

/** What one opening of the plan releases: the event of its ledger charge. */
export function openingEvent(plan: Omit<PlanShape, 'openings'>): PrivacyEvent {
  const { shareStdDev, shares, sensitivity, dimension, rate, tenantsPerCustomer } = plan;
  const noised: PrivacyEvent = {
    type: 'DiscreteGaussian',
    noiseVariance: shares * shareStdDev ** 2,
    sensitivity,
    dimension,
  };
  const once: PrivacyEvent = rate === EVERYBODY ? noised : { type: 'PoissonSampled', rate, event: noised };
  return eventForCopies(once, tenantsPerCustomer);
}

/**
 * What cutting batches at `maxBatch` costs in δ, as proven above; a client declines a plan where this exceeds
 * δ · TRUNCATION_DELTA_FRACTION.
 *
 * @param customers - an upper bound on the tenant's customers that is public (the plan's), not the count of the day:
 *   otherwise whether the tenant takes part would tell that count
 */
export function truncationDelta(plan: {
  readonly customers: number;
  readonly rate: SamplingRate;
  readonly maxBatch: number;
  readonly openings: number;
  readonly tenantsPerCustomer: number;
}): number {
  const batches = plan.openings * plan.tenantsPerCustomer; // that the customer could be in: a union bound again
  return batches * overflowProbability(plan.customers, plan.rate, plan.maxBatch - 1);
}

function honestShares({ minCohort, colluders }: Cohort): number {
  const whole = Number.isInteger(minCohort) && Number.isInteger(colluders);
  if (!(whole && colluders >= 0 && colluders < minCohort)) {
    throw new RangeError(`colluders must lie in 0…minCohort − 1, got ${colluders} of ${minCohort}`);
  }
  return minCohort - colluders;
}
