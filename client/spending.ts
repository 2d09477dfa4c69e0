import { chargedEvent, type Plan, poolOf, taskId } from '../aggregation/plan.ts';
import {
  type Budget,
  commit,
  openBudget,
  release,
  reserve,
  spentSoFar,
  withLimits,
  wouldSpend,
} from '../privacy/budget.ts';
import type { LedgerEntry } from '../privacy/ledger.ts';
import type { ClientStore } from './client-store.ts';
import type { Policy } from './policy.ts';

/**
 * What this tenant's customers pay, counted by the tenant itself.
 *
 *   accept a plan ──▶ all its openings reserved      nothing else can promise them again
 *   contribute    ──▶ one opening spent              before the contribution leaves, and for good
 *   task over     ──▶ openings never used come back
 *
 * A contribution that left is paid for whatever the ledger says became of its round: to the tenant, an aborted round and
 * a forked ledger look the same. Aborted rounds eat the plan's spare openings; when those are gone the tenant
 * takes no further part. Every step is durable before what it pays for happens.
 */

/** The store's budget, opened with the policy's limits the first time and held to them ever after. */
function budgetOf(store: ClientStore, policy: Policy): Budget {
  const stored = store.budget();
  // the policy may have been tightened or widened since: limits are the tenant's, what is spent stays
  return stored === undefined ? openBudget(policy.budget) : withLimits(stored, policy.budget);
}

const spending = (plan: Plan, count: number) => ({
  pool: poolOf(plan),
  task: taskId(plan),
  event: chargedEvent(plan),
  count,
});

/** What the customers of the plan's pool would have paid in total after the whole plan. Asks; changes nothing. */
export function wouldPay(store: ClientStore, policy: Policy, plan: Plan): { epsilon: number; allowed: boolean } {
  return wouldSpend(budgetOf(store, policy), poolOf(plan), chargedEvent(plan), plan.derived.openings);
}

/** Sets the whole plan aside. Call inside `ClientStore.commit`, with the acceptance. @throws RangeError when it is not allowed */
export function setAside(store: ClientStore, policy: Policy, plan: Plan): void {
  store.setBudget(reserve(budgetOf(store, policy), spending(plan, plan.derived.openings)));
}

/** Total ε of a pool so far, everything set aside included. */
export function paidSoFar(store: ClientStore, policy: Policy, pool: 'training' | 'held-out'): number {
  return spentSoFar(budgetOf(store, policy), pool).epsilon;
}

/**
 * Pays for a round, before the contribution leaves. Durable when it returns.
 * @throws Error when the round was answered before, or nothing is set aside for the task any more
 */
export function payRound(store: ClientStore, policy: Policy, plan: Plan, round: number, cohort: string): void {
  const task = taskId(plan);
  store.commit(() => {
    if (round <= store.lastRound(task)) throw new Error(`round ${round} was answered before; a retry is a new round`);
    const budget = budgetOf(store, policy);
    if (reserved(budget, plan) < 1)
      throw new Error(`all ${plan.derived.openings} openings set aside for this task are used up`);
    store.setBudget(commit(budget, spending(plan, 1)));
    store.setRound(task, round, { cohort, sumHash: '', openerSets: [] });
  });
}

/**
 * Gives back what a task that is over never used.
 * @param planOf - the accepted plan of a task; undefined for a task of others
 */
export function followLedger(
  store: ClientStore,
  policy: Policy,
  entries: readonly LedgerEntry[],
  planOf: (task: string) => Plan | undefined,
): void {
  for (const entry of entries) {
    const plan = entry.kind === 'stop' || entry.kind === 'finish' ? planOf(entry.task) : undefined;
    if (plan !== undefined) giveBack(store, policy, plan);
  }
}

function giveBack(store: ClientStore, policy: Policy, plan: Plan): void {
  const budget = budgetOf(store, policy);
  const unused = reserved(budget, plan);
  if (unused > 0) store.commit(() => store.setBudget(release(budget, spending(plan, unused))));
}

/** Openings of the plan that are set aside, and not spent yet. */
function reserved({ pools }: Budget, plan: Plan): number {
  const held = pools.find((pool) => pool.name === poolOf(plan))?.held.find((one) => one.task === taskId(plan));
  return held?.reserved ?? 0;
}
