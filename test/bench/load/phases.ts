import type { TaskFact } from '../../../coordinator/task.ts';

/** How long the stages of a task took, and its rounds. */
export interface Phases {
  /** by name, in the order of their first appearance; milliseconds from the question to what follows it, one for each round */
  readonly stages: ReadonlyMap<string, readonly number[]>;
  /** milliseconds, from one round's first question to the next round's */
  readonly rounds: readonly number[];
}

/**
 * Read from the facts of a task: a stage lasts until the next question is asked, the coordinator's own work after it included.
 * What follows the last question nobody has timed, and it is left out.
 *
 * @param names - of the stages of a round
 */
export function phasesOf(facts: readonly TaskFact[], names: readonly string[]): Phases {
  const stages = new Map<string, number[]>();
  const rounds: number[] = [];
  let before: { readonly stage: string; readonly at: number } | undefined;
  let began: number | undefined;
  let keyed = false;
  for (const fact of facts) {
    if (fact.type === 'epoch-begun') keyed = false;
    if (fact.type === 'round-begun') keyed = true;
    if (fact.type !== 'in-round' || fact.fact.type !== 'asked') continue;
    const { at, stage: index } = fact.fact;
    if (before !== undefined) stages.set(before.stage, [...(stages.get(before.stage) ?? []), at - before.at]);
    before = { stage: keyed ? names[index]! : 'keys', at };
    if (!keyed || index > 0) continue;
    if (began !== undefined) rounds.push(at - began);
    began = at;
  }
  return { stages, rounds };
}

/** The value that `share` of all are no greater than. @param values - not empty */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}
