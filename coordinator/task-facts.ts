import { type Plan, roundsOf, shapeOf } from '../aggregation/plan.ts';
import type { SecureSum } from '../aggregation/secure-sum.ts';
import { replay } from './advance-task.ts';
import type { EventStore } from './store/event-store.ts';
import { StoreDamaged } from './store/store-damaged.ts';
import type { TaskFact, TaskRules, TaskState } from './task.ts';

/** @throws StoreDamaged when the first fact is another */
export function proposalIn([first]: readonly TaskFact[], task: string): Extract<TaskFact, { type: 'proposed' }> {
  if (first?.type !== 'proposed') throw new StoreDamaged(`task ${task} was never proposed`);
  return first;
}

/** @throws StoreDamaged when they cannot be read, or do not follow each other */
export function replayed(store: EventStore, rules: TaskRules, task: string): { facts: TaskFact[]; state: TaskState } {
  try {
    const facts = store.facts(task);
    return { facts, state: replay(facts, rules) };
  } catch (error) {
    throw new StoreDamaged(`task ${task}: ${(error as Error).message}`);
  }
}

/** Bytes that tenants have said. */
export const bytesIn = (facts: readonly TaskFact[]): number =>
  facts.reduce((sum, each) => {
    const said = each.type === 'in-round' && each.fact.type === 'said' ? (each.fact.bytes ?? 0) : 0;
    return sum + said;
  }, 0);

export function rulesOf(plan: Plan, protocol: SecureSum): TaskRules {
  const { secureSum, timing } = plan.settings;
  return {
    protocol,
    roster: plan.roster.map(({ tenant }) => tenant),
    minCohort: secureSum.minCohort,
    threshold: plan.derived.threshold,
    openings: plan.derived.openings,
    openingsPerEpoch: protocol.openingsPerEpoch(shapeOf(plan)),
    steps: roundsOf(plan),
    ...timing,
  };
}
