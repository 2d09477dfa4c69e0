import type { Plan } from '../../aggregation/plan.ts';
import type { RatePair } from '../../privacy/attack/roc.ts';
import { attackBound } from '../../privacy/pld-accountant.ts';
import { eventInEyesOf } from './subject.ts';

/** What a plan's release allows whoever sees all of it, by the accountant's own numbers. */
export interface AttackLimit {
  /** for whoever errs on this part of the absent: the part of the present that can at most be recognised */
  at(falsePositiveRate: number): number;
  /** `at` for rates from 1e-4 to 1 − 1e-4 */
  readonly curve: readonly RatePair[];
  /** the release is μ-GDP, as far as the curve reaches */
  readonly mu: number;
}

/** False positive rates from 1e-4 to 1 − 1e-4, even in their log-odds. */
const RATES: readonly number[] = Array.from({ length: 61 }, (_, i) => 1 / (1 + 9999 ** (1 - i / 30)));

export function attackLimit(plan: Plan): AttackLimit {
  const events = [eventInEyesOf(plan, plan.settings.secureSum.minCohort)];
  const bounds = RATES.map((falsePositiveRate) => ({ falsePositiveRate, ...attackBound(events, falsePositiveRate) }));
  return {
    at: (falsePositiveRate) => attackBound(events, falsePositiveRate).truePositiveRate,
    curve: bounds.map(({ falsePositiveRate, truePositiveRate }) => ({ falsePositiveRate, truePositiveRate })),
    mu: Math.max(...bounds.map(({ mu }) => mu)),
  };
}
