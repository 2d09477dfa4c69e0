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
 *   contribute    ──▶ the round's cost is open       counts as spent until the ledger says otherwise
 *   ledger charge ──▶ one opening spent
 *   ledger abort  ──▶ the round cost nothing         only when it was never charged
 *   task over     ──▶ openings never used come back
 *
 * Every step is durable before what it pays for happens.
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
 * Opens the cost of a round, before the contribution leaves. Durable when it returns.
 * @throws Error when the round was answered before, or the plan's openings are used up
 */
export function openRound(store: ClientStore, policy: Policy, plan: Plan, round: number, cohort: string): void {
  const task = taskId(plan);
  if (round <= store.lastRound(task)) throw new Error(`round ${round} was answered before; a retry is a new round`);
  if (openRounds(store, task) >= plan.derived.openings)
    throw new Error(`all ${plan.derived.openings} openings of the plan are used up`);
  if (reserved(budgetOf(store, policy), plan) <= undecided(store, task))
    throw new Error('nothing is set aside for this task any more: the ledger says that it is over');
  store.commit(() => store.setRound(task, round, { cohort, sumHash: '', openerSets: [], cost: 'open' }));
}

function openRounds(store: ClientStore, task: string): number {
  return store.rounds(task).filter(({ cost }) => cost !== 'returned').length;
}

/**
 * Follows the ledger: what was charged is spent, what was aborted without a charge is not, what is over gives the rest back.
 * @param planOf - the accepted plan of a task; undefined for a task of others
 */
export function followLedger(
  store: ClientStore,
  policy: Policy,
  entries: readonly LedgerEntry[],
  planOf: (task: string) => Plan | undefined,
): void {
  for (const entry of entries) {
    const plan = planOf(entry.task);
    if (plan === undefined) continue;
    if (entry.kind === 'charge') settle(store, policy, plan, entry.round, 'spent');
    if (entry.kind === 'abort') settle(store, policy, plan, entry.round, 'returned');
    if (entry.kind === 'stop' || entry.kind === 'finish') giveBack(store, policy, plan);
  }
}

function settle(store: ClientStore, policy: Policy, plan: Plan, round: number, cost: 'spent' | 'returned'): void {
  const task = taskId(plan);
  const answered = store.round(task, round);
  // not this tenant's round, or settled: an abort after a charge changes nothing, a charge after an abort costs all the same
  if (answered === undefined || answered.cost === 'spent' || answered.cost === cost) return;
  store.commit(() => {
    if (cost === 'spent') store.setBudget(commit(budgetOf(store, policy), spending(plan, 1)));
    store.setRound(task, round, { ...answered, cost });
  });
}

/** A round whose fate the ledger never told stays paid for. */
function giveBack(store: ClientStore, policy: Policy, plan: Plan): void {
  const task = taskId(plan);
  const unused = reserved(budgetOf(store, policy), plan) - undecided(store, task);
  if (unused > 0) store.commit(() => store.setBudget(release(budgetOf(store, policy), spending(plan, unused))));
}

/** Openings of the plan that are set aside, and not spent yet. */
function reserved({ pools }: Budget, plan: Plan): number {
  const held = pools.find((pool) => pool.name === poolOf(plan))?.held.find((one) => one.task === taskId(plan));
  return held?.reserved ?? 0;
}

/** Rounds this tenant contributed to and the ledger has not decided about. */
function undecided(store: ClientStore, task: string): number {
  return store.rounds(task).filter(({ cost }) => cost === 'open').length;
}
