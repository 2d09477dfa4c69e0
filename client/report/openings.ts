import type { LedgerEntry, PlanEntry } from '../../privacy/ledger.ts';
import type { Spent } from './exposure.ts';
import { isIn, type Period } from './period.ts';

/** Which openings a ledger charges to which plan. */
export type PlannedTask = LedgerEntry & PlanEntry;

/** How often each of the plans was charged. */
export function spentBy(plans: readonly PlannedTask[], charges: readonly LedgerEntry[]): Spent[] {
  const ofTask = Map.groupBy(charges, ({ task }) => task);
  return plans.map((plan) => ({ task: plan.task, plan, openings: ofTask.get(plan.task)?.length ?? 0 }));
}

/** All that a plan may open. */
export const wholePlan = (plan: PlannedTask): Spent => ({ task: plan.task, plan, openings: plan.mechanism.openings });

export const isCharge = ({ kind }: LedgerEntry): boolean => kind === 'charge';

/**
 * What a task gave away in a period: charges up to the last entry with which it gave something away in it. By the order of
 * the ledger, which nobody can change, and not by clocks.
 */
export function behindPeriod(entries: readonly LedgerEntry[], period: Period): LedgerEntry[] {
  const giving = entries.filter(({ kind, time }) => GIVING.includes(kind) && isIn(period, time));
  const last = new Map(giving.map(({ task, seq }) => [task, seq]));
  return entries.filter((entry) => isCharge(entry) && entry.seq <= (last.get(entry.task) ?? -1));
}

const GIVING: readonly LedgerEntry['kind'][] = ['charge', 'release', 'finish'];
