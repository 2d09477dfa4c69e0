import fc from 'fast-check';
import { createIdentity, fingerprint } from '../../aggregation/identity.ts';
import { chargedEvent, makePlan, type Plan, planText, taskId } from '../../aggregation/plan.ts';
import { planEntry } from '../../aggregation/plan-entry.ts';
import { type ClientStore, openClientStore } from '../../client/client-store.ts';
import type { Policy } from '../../client/policy.ts';
import { followLedger, payRound, setAside, wouldPay } from '../../client/spending.ts';
import { appendEntry, EMPTY_LEDGER, type LedgerBody, type LedgerEntry, type LedgerHead } from '../../privacy/ledger.ts';
import { toyPolicy } from './lying-coordinator.ts';
import { toyEvaluation, toySettings } from './toy-task.ts';

/**
 * What happens to one tenant's budget in a life: tasks accepted, rounds held with it and without it, rounds that were lost,
 * tasks that ended, and the ledger that says so, in any order. The store, and all that is counted, is the client's own.
 */
export type Step =
  | { readonly what: 'accept' | 'held' | 'held-by-some' | 'held-without' | 'lost' | 'end'; readonly plan: number }
  | { readonly what: 'hear' };

export const NOW: number = Date.UTC(2026, 10, 22);
export const ME = 'ada';
const DELTA = 1e-5;

const roster = [ME, 'bob', 'cleo'].map((tenant, i) => ({ tenant, key: `${i + 1}`.repeat(64) }));
const planOf = (settings: Parameters<typeof makePlan>[0]): Plan => makePlan(settings, roster, 'f'.repeat(64), 0);
const training = (name: string, rounds: number, purpose: string, epsilon: number): Plan =>
  planOf({ ...toySettings({ name, rounds, epsilon, protocol: 'plain' }), use: { purpose } });

/** Three that training customers pay, for two purposes, and one that those held out pay. */
export const plans: readonly Plan[] = [
  training('first', 3, 'retention', 1),
  training('second', 5, 'retention', 2),
  training('third', 2, 'credit', 1.5),
  planOf(toyEvaluation('a'.repeat(64), 'b'.repeat(64), 'plain')),
];

export const policyWith = (epsilon: number, more: Partial<Policy['budget']['training']> = {}): Policy => ({
  ...toyPolicy(ME, new Map(), fingerprint(createIdentity().publicKey)),
  budget: { training: { epsilon, delta: DELTA, ...more }, 'held-out': { epsilon, delta: DELTA } },
});

export interface History {
  readonly store: ClientStore;
  readonly entries: readonly LedgerEntry[];
  readonly head: LedgerHead;
}

/** Lives through these steps; those that cannot be taken are passed over. */
export function live(steps: readonly Step[], policy: Policy): History {
  const store = openClientStore(':memory:');
  const entries: LedgerEntry[] = [];
  let head = EMPTY_LEDGER;
  let heard = 0;
  const rounds = plans.map(() => 0);
  const over = plans.map(() => false);
  const write = (task: string, ...bodies: LedgerBody[]): void => {
    for (const body of bodies) {
      const next = appendEntry(head, body, { federation: 'f', task, time: 0 });
      entries.push(next.entry);
      head = next.head;
    }
  };
  const hear = (): void => {
    const news = entries.slice(heard);
    store.commit(() => {
      store.addLedger(news, head);
      followLedger(store, policy, news, (task) => plans.find((plan) => taskId(plan) === task && store.accepted(task)));
    });
    heard = entries.length;
  };
  for (const plan of plans)
    write(taskId(plan), planEntry(plan), ...['bob', 'cleo'].map((tenant) => acceptance(tenant)));
  for (const step of steps) {
    if (step.what === 'hear') hear();
    else take(step.what, step.plan);
  }
  return { store, entries, head };

  function take(what: Exclude<Step['what'], 'hear'>, at: number): void {
    const plan = plans[at]!;
    const task = taskId(plan);
    const isIn = store.accepted(task) !== undefined;
    if (what === 'accept') return isIn || over[at] ? undefined : accept(plan, task);
    if (over[at] || (what !== 'held-without' && what !== 'end' && !isIn)) return;
    if (what === 'end') {
      over[at] = true;
      return write(task, { kind: 'stop', reason: 'stopped-by-operator' });
    }
    const round = ++rounds[at]!;
    if (round > plan.derived.openings) return;
    if (what !== 'held-without') payRound({ store, policy, clock: () => NOW }, plan, round, 'cohort');
    const contributions = what === 'held' ? 3 : 2;
    if (what === 'lost') write(task, { kind: 'abort', round, reason: 'tenant-lost' });
    else write(task, { kind: 'charge', round, event: chargedEvent(plan), sumHash: 'c'.repeat(64), contributions });
  }

  function accept(plan: Plan, task: string): void {
    if (!wouldPay(store, policy, plan, NOW).allowed) return;
    store.commit(() => {
      store.accept(task, { plan: planText(plan), data: 'd'.repeat(64) });
      setAside(store, policy, plan, NOW);
    });
    write(task, acceptance(ME));
  }
}

const acceptance = (tenant: string): LedgerBody => ({
  ...{ kind: 'accept', tenant, dataset: 'e'.repeat(64), signature: '0'.repeat(128) },
});

const anyPlan = fc.nat(plans.length - 1);

/** Any life: some tasks at first, then up to forty steps, of which one in four hears the ledger. */
export const anyLife: fc.Arbitrary<Step[]> = fc
  .tuple(
    fc.subarray([...plans.keys()], { minLength: 1 }),
    fc.array(
      fc.oneof(
        { weight: 1, arbitrary: fc.constant<Step>({ what: 'hear' }) },
        {
          weight: 3,
          arbitrary: fc.record({
            what: fc.constantFrom('accept', 'held', 'held', 'held-by-some', 'held-without', 'lost', 'end'),
            plan: anyPlan,
          }) as fc.Arbitrary<Step>,
        },
      ),
      { minLength: 10, maxLength: 40, size: 'max' },
    ),
  )
  .map(([first, steps]) => [...first.map((plan): Step => ({ what: 'accept', plan })), ...steps]);
