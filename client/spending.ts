import { chargedEvent, type Plan, poolOf, taskId } from '../aggregation/plan.ts';
import {
  type Budget,
  type Count,
  commit,
  filterOrder,
  type Held,
  openBudget,
  release,
  reserve,
  type Spending,
  type Standing,
  standing,
  withLimits,
  wouldSpend,
} from '../privacy/budget.ts';
import type { LedgerEntry } from '../privacy/ledger.ts';
import { followSpending } from '../privacy/ledger-spending.ts';
import type { ClientStore } from './client-store.ts';
import { LedgerBroken } from './ledger-view.ts';
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

export type PoolName = ReturnType<typeof poolOf>;

/** What paying takes. */
export interface Purse {
  readonly store: ClientStore;
  readonly policy: Policy;
  /** Unix ms */
  readonly clock: () => number;
}

/** A limit that is not kept, in words. */
export function beyond({ scope, name, epsilon, limit }: Count): string {
  const what = scope === 'lifetime' ? `${name} customers' lifetime` : `${scope} ${name}`;
  const which = limit === 0 ? 'the policy names no budget for it' : `the budget is ${limit}`;
  return `for the ${what} ε would be ${epsilon.toFixed(3)}, ${which}`;
}

/** The store's budget, opened with the policy's limits the first time and held to them ever after. */
function budgetOf(store: ClientStore, policy: Policy): Budget {
  const stored = store.budget();
  // the policy may have been tightened or widened since: limits are the tenant's, what is spent stays
  return stored === undefined ? openBudget(policy.budget) : withLimits(stored, policy.budget);
}

const spending = (plan: Plan, count: number): Spending => ({
  pool: poolOf(plan),
  task: taskId(plan),
  purpose: plan.settings.use.purpose,
  event: chargedEvent(plan),
  count,
});

/** Where the plan's pool would stand after the whole plan. Asks; changes nothing. @param now - Unix ms */
export function wouldPay(store: ClientStore, policy: Policy, plan: Plan, now: number): Standing {
  return wouldSpend(budgetOf(store, policy), spending(plan, plan.derived.openings), now);
}

/** Sets the whole plan aside. Call inside `ClientStore.commit`, with the acceptance. @throws RangeError when it is not allowed */
export function setAside(store: ClientStore, policy: Policy, plan: Plan, now: number): void {
  store.setBudget(reserve(budgetOf(store, policy), spending(plan, plan.derived.openings), now));
}

/** Where a pool stands, everything set aside included. */
export function standingOf(store: ClientStore, policy: Policy, pool: PoolName, now: number): Standing {
  return standing(budgetOf(store, policy), pool, now);
}

/** What is told the coordinator of a pool: its lifetime's limit, and where it stands, everything set aside included. */
export function statedOf(store: ClientStore, policy: Policy, pool: PoolName, now: number) {
  const limit = policy.budget[pool];
  const { epsilon } = standingOf(store, policy, pool, now);
  return { pool, epsilon, limit: limit.epsilon, delta: limit.delta, order: limit.order ?? filterOrder(limit) };
}

/**
 * Pays for a round, before the contribution leaves. Durable when it returns.
 * @throws Error when the round was answered before, nothing is set aside for the task any more, or the policy no longer allows it
 */
export function payRound({ store, policy, clock }: Purse, plan: Plan, round: number, cohort: string): void {
  const task = taskId(plan);
  store.commit(() => {
    if (store.endOf(task) !== undefined) throw new Error('the ledger has ended this task');
    if (round <= store.lastRound(task)) throw new Error(`round ${round} was answered before; a retry is a new round`);
    const budget = budgetOf(store, policy);
    if (reserved(budget, plan) < 1)
      throw new Error(`all ${plan.derived.openings} openings set aside for this task are used up`);
    const { counts } = standing(budget, poolOf(plan), clock(), plan.settings.use.purpose);
    const exceeded = counts.find(({ allowed }) => !allowed); // the policy was tightened since
    if (exceeded !== undefined) throw new Error(beyond(exceeded));
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
    if (plan === undefined) continue;
    checkRemembers(store, policy, plan);
    giveBack(store, policy, plan);
  }
}

/**
 * A sum over every tenant that accepted is over this one's contribution too. A store that paid for fewer is an old copy:
 * it would give back what is spent.
 *
 * @throws LedgerBroken when it is
 */
function checkRemembers(store: ClientStore, policy: Policy, plan: Plan): void {
  const spending = followSpending();
  for (const entry of store.ledger()) spending.see(entry);
  const certain = spending.tasksOf(policy.tenant).find(({ task }) => task === taskId(plan))?.certain ?? 0;
  if (heldOf(budgetOf(store, policy), plan).committed < certain)
    throw new LedgerBroken(
      `this tenant took part in ${certain} openings of a task, its store has paid for fewer: it is an old copy. Put the newest one back, or begin without one and run \`parley client restore-budget\``,
    );
}

function giveBack(store: ClientStore, policy: Policy, plan: Plan): void {
  const budget = budgetOf(store, policy);
  const unused = reserved(budget, plan);
  if (unused > 0) store.commit(() => store.setBudget(release(budget, spending(plan, unused))));
}

/** Openings of the plan that are set aside, and not spent yet. */
const reserved = (budget: Budget, plan: Plan): number => heldOf(budget, plan).reserved;

function heldOf({ pools }: Budget, plan: Plan): Pick<Held, 'reserved' | 'committed'> {
  const held = pools.find((pool) => pool.name === poolOf(plan))?.held.find((one) => one.task === taskId(plan));
  return held ?? { reserved: 0, committed: 0 };
}
