import { createIdentity, fingerprint } from '../../aggregation/identity.ts';
import { hex, makePlan, type Plan, planText, taskId } from '../../aggregation/plan.ts';
import { openClientStore } from '../../client/client-store.ts';
import { followLedger, payRound, setAside } from '../../client/spending.ts';
import { appendEntry, EMPTY_LEDGER, type LedgerBody } from '../../privacy/ledger.ts';
import { toyPolicy } from './lying-coordinator.ts';
import { toySettings } from './toy-task.ts';

/**
 * A tenant that dies in the middle: run as a process of its own, told after which write it kills itself, without a
 * goodbye. What is on disk afterwards is what counts.
 *
 *   node killed.ts FILE POINT
 *
 * Prints what it has seen happen, a line each, before it dies.
 */
export const POINTS = ['reserved', 'paying', 'paid', 'share-half', 'shared', 'end-half', 'over', 'nowhere'] as const;
export type Point = (typeof POINTS)[number];

/** The plan of the dying tenant: the same in its process and in the test's. */
export const dyingPlan: Plan = makePlan(
  toySettings({ rounds: 20 }),
  ['ada', 'bob', 'cleo'].map((tenant, i) => ({ tenant, key: `${i}`.repeat(64) })),
  'f'.repeat(64),
  0,
);
export const dyingPolicy = toyPolicy('ada', new Map(), fingerprint(createIdentity().publicKey));

if (process.argv[1] === import.meta.filename) {
  const [, , file, point] = process.argv as [string, string, string, Point];
  const store = openClientStore(file);
  const plan = dyingPlan;
  const task = taskId(plan);
  const at = (here: Point): void => {
    process.stdout.write(`${here}\n`);
    if (here === point) process.kill(process.pid, 'SIGKILL');
  };
  let head = EMPTY_LEDGER;
  const entry = (body: LedgerBody) => {
    const next = appendEntry(head, body, { federation: hex(new Uint8Array(32)), task, time: 0 });
    head = next.head;
    return next.entry;
  };
  store.commit(() => {
    store.accept(task, { plan: planText(plan), data: 'b'.repeat(64) });
    setAside(store, dyingPolicy, plan, 0);
  });
  at('reserved');
  store.commit(() => {
    payRound({ store, policy: dyingPolicy, clock: () => 0 }, plan, 1, 'cohort');
    if (point === 'paying') at('paying'); // written, not committed: nothing has left
  });
  at('paid'); // the contribution is on its way
  store.commit(() => {
    const answered = store.round(task, 1)!;
    store.setRound(task, 1, { ...answered, sumHash: 'a'.repeat(64), openerSets: ['ada,bob,cleo'] });
    if (point === 'share-half') at('share-half'); // no share has left
  });
  at('shared');
  payRound({ store, policy: dyingPolicy, clock: () => 0 }, plan, 2, 'cohort');
  store.commit(() => {
    const stopped = entry({ kind: 'stop', reason: 'stopped-by-operator' });
    store.addLedger([stopped], head);
    if (point === 'end-half') at('end-half'); // the end is noted, what was unused not yet given back
    followLedger(store, dyingPolicy, [stopped], () => plan);
  });
  at('over');
  at('nowhere');
  process.kill(process.pid, 'SIGKILL');
}
