import { type Plan, planDigest, planText, roundsOf, taskId } from '../aggregation/plan.ts';
import { planEntry } from '../aggregation/plan-entry.ts';
import { begin, progressHash } from '../aggregation/progress.ts';
import { vectorBytes } from '../aggregation/wire.ts';
import type { World } from './world.ts';

/** A new task: the plan signed, its start parameters stored, its plan entry in the ledger, all in one transaction. @param also - in it too, first */
export function recordProposal(
  plan: Plan,
  sign: (digest: Uint8Array) => Uint8Array,
  start: Float64Array,
  world: World,
  also: () => void = () => {},
): Uint8Array {
  const text = planText(plan);
  const signature = sign(planDigest(text));
  const id = taskId(plan);
  const model = progressHash(plan, begin(start), roundsOf(plan));
  const { store, ledger, clock } = world;
  ledger.commit(() => {
    also();
    store.addTask({ id, plan: text, signature });
    store.putParameters(model, vectorBytes(start));
    store.addFact(id, { type: 'proposed', at: clock(), model, entry: ledger.head.size });
    ledger.append(planEntry(plan), id, clock());
  });
  return signature;
}
