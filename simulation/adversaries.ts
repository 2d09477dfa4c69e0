/**
 * What a plan tells each of three adversaries about one unit (a customer, or a whole tenant), before anything runs.
 *
 *   release     an outsider                              n_min shares of noise stand between
 *   coalition   the coordinator and c tenants together   n_min − c shares; calibrated, charged
 *   floor       everybody else                           one share
 *
 * Promise: every ε and every rate here is an upper bound, by the tight accountant; and they come three at a time.
 */
import { type Adversary, type ForEach, forEach } from '../privacy/adversary.ts';
import type { PrivacyEvent } from '../privacy/event.ts';
import { normalQuantile } from '../privacy/normal.ts';
import { attackBound, epsilonAtMost, epsilonPerCount } from '../privacy/pld-accountant.ts';
import { epsilonSpent } from '../privacy/rdp.ts';

/** A plan as the accountant sees it. */
export interface Priced {
  /** everything `openings` sums release about one unit, behind the noise of `shares` tenants; any positive number */
  readonly eventFor: (shares: number, openings: number) => PrivacyEvent;
  /** shares that each adversary certainly has against it */
  readonly shares: ForEach<number>;
  /** openings the noise is calibrated for */
  readonly openings: number;
  /** coalition ε the noise is calibrated for */
  readonly epsilon: number;
  /** what the accountant may use of the plan's δ */
  readonly delta: number;
  /** what is paid beside it: the chance that a batch must be cut, over all openings */
  readonly truncation: number;
}

/** The three ε after so many openings. Increasing in each. */
export function epsilonAfter(priced: Priced, counts: readonly number[]): readonly (ForEach<number> & { at: number })[] {
  const { eventFor, shares, delta } = priced;
  const after = forEach((who) => epsilonPerCount({ event: eventFor(shares[who], 1), delta }));
  return counts.map((at) => ({ at, ...forEach((who) => (at === 0 ? 0 : after[who](at))) }));
}

/** What an attacker can at most gain from everything a plan releases. */
export interface AttackGain {
  /** part of the units that took no part and are taken for ones that did */
  readonly falsePositiveRate: number;
  /** at most this part of those that did is recognised; blind guessing recognises `falsePositiveRate` of them */
  readonly truePositiveRate: number;
  /**
   * μ of the Gaussian mechanism with these two rates: TPR = Φ(Φ⁻¹(FPR) + μ) (Dong, Roth, Su 2022, arXiv:1905.02383, §2.2).
   * Infinity where everybody may be recognised; JSON has no word for it and says null.
   */
  readonly mu: number;
}

/** For each rate of false positives, in (0, 1), what the adversary can at most gain. */
export function attackGains(priced: Priced, adversary: Adversary, rates: readonly number[]): readonly AttackGain[] {
  const { eventFor, shares, openings, truncation } = priced;
  const event = eventFor(shares[adversary], openings);
  return rates.map((falsePositiveRate) => {
    const accounted = attackBound([event], falsePositiveRate).truePositiveRate;
    // a cut batch may show anything: its chance comes on top (privacy/guarantee.ts)
    const truePositiveRate = Math.min(1, accounted + truncation);
    return {
      falsePositiveRate,
      truePositiveRate,
      mu: normalQuantile(truePositiveRate) - normalQuantile(falsePositiveRate),
    };
  });
}

export interface DropOut {
  /** part of the n_min − c shares that the coalition's ε counts */
  readonly missing: number;
  readonly shares: number;
  /** coalition ε behind the shares that are left */
  readonly epsilon: number;
}

/** What it would cost if part of the counted shares were not there: z becomes z·√(1 − missing). */
export function dropOut({ eventFor, shares, openings, delta }: Priced, missing: readonly number[]): readonly DropOut[] {
  return missing.map((part) => {
    const left = shares.coalition * (1 - part);
    return { missing: part, shares: left, epsilon: epsilonAtMost([eventFor(left, openings)], delta) };
  });
}

export interface RenyiComparison {
  /** coalition ε that Rényi accounting would state for the same noise */
  readonly epsilon: number;
  /** standard deviation it would ask for, beside the plan's: ≥ 1 */
  readonly noiseFactor: number;
}

/** The same plan by Rényi accounting (privacy/rdp.ts): how much more ε, or how much more noise. */
export function byRenyi({ eventFor, shares, openings, epsilon, delta }: Priced): RenyiComparison {
  const spent = (factor: number) => epsilonSpent([eventFor(shares.coalition * factor ** 2, openings)], delta).epsilon;
  return { epsilon: spent(1), noiseFactor: leastFactor((factor) => spent(factor) <= epsilon) };
}

export interface OneMoreRound {
  /** the three ε with one opening more and the same noise */
  readonly epsilon: ForEach<number>;
  /** standard deviation that would keep the promised ε, beside the plan's: ≥ 1 */
  readonly noiseFactor: number;
}

/** What one more round would change. */
export function oneMoreRound({ eventFor, shares, openings, epsilon, delta }: Priced): OneMoreRound {
  const spent = (count: number) => epsilonAtMost([eventFor(count, openings + 1)], delta);
  return {
    epsilon: forEach((who) => spent(shares[who])),
    noiseFactor: leastFactor((factor) => spent(shares.coalition * factor ** 2) <= epsilon),
  };
}

/** The least factor ≥ 1 that is enough, to one part in a hundred thousand, rounded up. */
function leastFactor(isEnough: (factor: number) => boolean): number {
  if (isEnough(1)) return 1;
  let [low, high] = [1, 2];
  while (!isEnough(high)) [low, high] = [high, 2 * high];
  while (high > low * (1 + 1e-5)) {
    const middle = Math.sqrt(low * high);
    if (isEnough(middle)) high = middle;
    else low = middle;
  }
  return high;
}
