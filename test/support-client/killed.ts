import { createIdentity, fingerprint } from '../../aggregation/identity.ts';
import { chargedEvent, hex, makePlan, type Plan, planText, taskId } from '../../aggregation/plan.ts';
import { openClientStore } from '../../client/client-store.ts';
import { followLedger, openRound, setAside } from '../../client/spending.ts';
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
export const POINTS = [
  'reserved',
  'opened',
  'sent',
  'ledger-half',
  'charged',
  'share-half',
  'aborted',
  'nowhere',
] as const;
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
  const charge = (round: number): LedgerBody => ({
    kind: 'charge',
    round,
    event: chargedEvent(plan),
    sumHash: 'a'.repeat(64),
    contributions: 3,
  });

  store.commit(() => {
    store.accept(task, { plan: planText(plan), data: 'b'.repeat(64) });
    setAside(store, dyingPolicy, plan);
  });
  at('reserved');
  openRound(store, dyingPolicy, plan, 1, 'cohort');
  at('opened');
  at('sent'); // the contribution is on its way
  store.commit(() => {
    const charged = entry(charge(1));
    store.addLedger([charged], head);
    if (point === 'ledger-half') at('ledger-half'); // the ledger is noted, its cost not yet
    followLedger(store, dyingPolicy, [charged], () => plan);
  });
  at('charged');
  store.commit(() => {
    const answered = store.round(task, 1)!;
    store.setRound(task, 1, { ...answered, sumHash: 'a'.repeat(64), openerSets: ['ada,bob,cleo'] });
    if (point === 'share-half') at('share-half'); // noted but not committed: no share has left
  });
  openRound(store, dyingPolicy, plan, 2, 'cohort');
  const aborted = entry({ kind: 'abort', round: 2, reason: 'tenant-lost' });
  store.commit(() => {
    store.addLedger([aborted], head);
    followLedger(store, dyingPolicy, [aborted], () => plan);
  });
  at('aborted');
  at('nowhere');
  process.kill(process.pid, 'SIGKILL');
}
