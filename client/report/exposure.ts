import { type Adversary, type ForEach, forEach } from '../../privacy/adversary.ts';
import type { PrivacyEvent } from '../../privacy/event.ts';
import { openingEvent, TRUNCATION_DELTA_FRACTION } from '../../privacy/guarantee.ts';
import type { PlanEntry } from '../../privacy/ledger.ts';
import { normalQuantile } from '../../privacy/normal.ts';
import { attackBound, epsilonAtMost } from '../../privacy/pld-accountant.ts';
import { epsilonSpent, ORDERS, renyiCurve } from '../../privacy/rdp.ts';

/**
 * What openings of several tasks together tell about one customer: ε, and what the best attacker gains.
 *
 *   release     an outsider                              n_min shares of noise stand between
 *   coalition   the coordinator and c tenants together   n_min − c shares
 *   floor       everybody else                           one share
 *
 * Promise: nothing is added up, everything is composed; every figure is an upper bound. Where the sums were not secured, a
 * coalition has the coordinator's view of each contribution, and one share is all that protects against it, whatever the plan
 * claims.
 */
/** So many openings of one task. */
export interface Spent {
  readonly task: string;
  readonly plan: PlanEntry;
  readonly openings: number;
}

/** Tenants one customer may be a customer of, for which ε is always shown. */
export const COPIES: readonly number[] = [1, 2, 3];

/** Rates of false positives at which attacks are compared. */
export const FALSE_POSITIVE_RATES: readonly number[] = [0.01, 0.001];

export interface Exposure {
  readonly openings: number;
  /** tasks that opened anything */
  readonly tasks: number;
  /** ε by the tight accountant, each task for as many tenants as its plan states. Proven for tasks that were fixed beforehand */
  readonly stated: ForEach<number>;
  /** the same, for a customer of each of `COPIES` tenants */
  readonly byCopies: ForEach<readonly number[]>;
  /** coalition's ε, each task as stated, as a privacy filter counts it; see `filterEpsilon` */
  readonly filter: number;
  /** from `stated`, at each of `FALSE_POSITIVE_RATES` */
  readonly attack: ForEach<readonly AttackGain[]>;
  /** the coalition's, also where later tasks were chosen in view of earlier results */
  readonly filterAttack: readonly AttackGain[];
}

export interface AttackGain {
  /** part of the customers that were not used and are taken for ones that were */
  readonly falsePositiveRate: number;
  /** at most this part of those that were used is recognised; blind guessing recognises `falsePositiveRate` of them */
  readonly truePositiveRate: number;
  /** μ of the Gaussian mechanism with these two rates (Dong, Roth, Su 2022, arXiv:1905.02383, §2.2) */
  readonly mu: number;
}

/** How everything about one pool is accounted, so that its figures can be compared. */
export interface Terms {
  /** in (0, 1) */
  readonly delta: number;
  /** the filter's Rényi order, one of `ORDERS`, fixed before the first opening */
  readonly order: number;
}

export function exposureOf(spent: readonly Spent[], terms: Terms): Exposure {
  return {
    openings: spent.reduce((sum, { openings }) => sum + openings, 0),
    tasks: opened(spent).length,
    stated: forEach((against) => epsilonOf(spent, against, terms.delta)),
    byCopies: forEach((against) => COPIES.map((copies) => epsilonOf(spent, against, terms.delta, copies))),
    filter: filterEpsilon(spent, terms),
    attack: forEach((against) => FALSE_POSITIVE_RATES.map((rate) => attackGain(spent, against, rate))),
    filterAttack: FALSE_POSITIVE_RATES.map((rate) => filterAttackGain(spent, terms, rate)),
  };
}

/** A task that opened nothing told nothing. */
const opened = (spent: readonly Spent[]): readonly Spent[] => spent.filter(({ openings }) => openings > 0);

/**
 * ε of everything, by the tight accountant.
 *
 * @param copies - tenants the customer is a customer of; as many as each plan states when left out
 */
export function epsilonOf(spent: readonly Spent[], against: Adversary, delta: number, copies?: number): number {
  return epsilonAtMost(eventsOf(spent, against, copies), accounted(spent, delta));
}

/**
 * The coalition's ε as budgets count it (privacy/budget.ts): divergences add up at one Rényi order that was fixed
 * before the first opening, whatever made anyone choose the later tasks. What is proven is the limit: a filter of this order
 * that lets nothing beyond this figure through keeps it (Feldman and Zrnic 2021, arXiv:2008.11193). One task is no choice.
 */
export function filterEpsilon(spent: readonly Spent[], { delta, order }: Terms): number {
  if (opened(spent).length <= 1) return epsilonOf(spent, 'coalition', delta);
  return epsilonSpent(eventsOf(spent, 'coalition'), accounted(spent, delta), [order]).epsilon;
}

/** What the best attack that looks at everything can at most gain. @param falsePositiveRate - in (0, 1) */
export function attackGain(spent: readonly Spent[], against: Adversary, falsePositiveRate: number): AttackGain {
  const { truePositiveRate } = attackBound(eventsOf(spent, against), falsePositiveRate);
  return gain(falsePositiveRate, truePositiveRate + truncation(spent));
}

/** P[S] ≤ (e^ρ · Q[S])^((α − 1)/α) where the divergence of order α is at most ρ (Mironov 2017, arXiv:1702.07476, Proposition 10). */
function filterAttackGain(spent: readonly Spent[], { order }: Terms, falsePositiveRate: number): AttackGain {
  if (opened(spent).length <= 1) return attackGain(spent, 'coalition', falsePositiveRate);
  const events = eventsOf(spent, 'coalition');
  const divergence = renyiCurve({ type: 'Composed', events })[ORDERS.indexOf(order)]!;
  const recognised = (Math.exp(divergence) * falsePositiveRate) ** ((order - 1) / order);
  return gain(falsePositiveRate, recognised + truncation(spent));
}

function gain(falsePositiveRate: number, bound: number): AttackGain {
  const truePositiveRate = Math.min(1, bound);
  return {
    falsePositiveRate,
    truePositiveRate,
    mu: normalQuantile(truePositiveRate) - normalQuantile(falsePositiveRate),
  };
}

const eventsOf = (spent: readonly Spent[], against: Adversary, copies?: number): PrivacyEvent[] =>
  opened(spent).map(({ plan, openings }) => ({
    type: 'SelfComposed',
    event: openingOf(plan, against, copies),
    count: openings,
  }));

/**
 * One opening of the plan in the eyes of an adversary.
 *
 * @param copies - tenants the customer is a customer of; as many as the plan states when left out
 */
export function openingOf(plan: PlanEntry, against: Adversary, copies = plan.tenantsPerCustomer): PrivacyEvent {
  const { event, mechanism } = plan;
  if (event.type === 'NonPrivate') return event;
  return openingEvent({ ...mechanism, tenantsPerCustomer: copies, shares: sharesAgainst(plan, against) });
}

function sharesAgainst({ trust }: PlanEntry, against: Adversary): number {
  const { mode, secureSum, minCohort, colluders } = trust;
  if (mode === 'record-local' || against === 'floor') return 1;
  if (against === 'release') return minCohort;
  return secureSum === 'plain' ? 1 : minCohort - colluders;
}

/** Each task keeps back a part of its own δ for cut batches (privacy/guarantee.ts). The parts add up. */
const accounted = (spent: readonly Spent[], delta: number): number => delta - truncation(spent);

/** Bound on the chance that any batch was cut; a cut batch may show anything. */
const truncation = (spent: readonly Spent[]): number =>
  opened(spent).reduce((sum, { plan }) => sum + plan.delta * TRUNCATION_DELTA_FRACTION, 0);
