import { type Plan, planSchema } from '../aggregation/plan.ts';
import { ACCOUNTED_DELTA_FRACTION } from '../privacy/guarantee.ts';
import type { LedgerEntry } from '../privacy/ledger.ts';
import { type AcceptedTask, followSpending } from '../privacy/ledger-spending.ts';
import { attackBound, epsilonAtMost } from '../privacy/pld-accountant.ts';
import type { ClientStore } from './client-store.ts';
import type { PoolName } from './spending.ts';

/**
 * What is released, and still contains a customer that is erased: every task over the customer's pool that this tenant accepted and
 * of which something was opened. Whether this customer was in any of its batches nobody has noted.
 */
export interface Contained {
  readonly task: string;
  /** undefined when the plan went with a lost store */
  readonly name: string | undefined;
  /** hash of what was released last */
  readonly model: string | undefined;
  readonly openings: number;
  /** of the openings charged, in the eyes of a coalition of the coordinator and as many tenants as the plan withstands */
  readonly epsilon: number;
  readonly delta: number;
  /** in the same eyes: whoever takes 1 % of the absent for present recognises at most this part of the present */
  readonly truePositiveRate: number;
}

export const FALSE_POSITIVE_RATE = 0.01;

/** From this tenant's own copy of the ledger, in the order in which it accepted. */
export function containedIn(store: ClientStore, tenant: string, pool: PoolName): Contained[] {
  const entries = store.ledger();
  const spending = followSpending();
  for (const entry of entries) spending.see(entry);
  const opened = spending.tasksOf(tenant).filter((task) => task.pool === pool && task.charged > 0);
  return opened.map((task) => contained(store, entries, task));
}

function contained(
  store: ClientStore,
  entries: readonly LedgerEntry[],
  { task, event, charged }: AcceptedTask,
): Contained {
  const mine = entries.filter((entry) => entry.task === task);
  const plan = mine.find((entry) => entry.kind === 'plan')!;
  const releases = mine.flatMap((entry) =>
    entry.kind === 'release' || entry.kind === 'finish' ? [entry.modelHash] : [],
  );
  const events = [{ type: 'SelfComposed', event, count: charged } as const];
  return {
    task,
    name: planIn(store, task)?.settings.name,
    model: releases.at(-1),
    openings: charged,
    epsilon: epsilonAtMost(events, plan.delta * ACCOUNTED_DELTA_FRACTION),
    delta: plan.delta,
    truePositiveRate: attackBound(events, FALSE_POSITIVE_RATE).truePositiveRate,
  };
}

function planIn(store: ClientStore, task: string): Plan | undefined {
  const accepted = store.accepted(task);
  return accepted && planSchema.parse(JSON.parse(accepted.plan));
}
