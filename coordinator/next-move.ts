import type { Stage, TenantId } from '../aggregation/secure-sum.ts';
import { whyTooFew } from './decide-task.ts';
import type { AbandonReason, RoundState } from './round.ts';
import { MAX_FAILURES, type Running, type StopReason, stagesOf, type TaskRules, type TaskState } from './task.ts';

/**
 * What the coordinator does next, given where a task stands: a pure function of the state and of who is
 * there. After a restart it gives the same answer as before, which is why nothing is lost.
 */
export type Move =
  | { readonly type: 'begin-epoch'; readonly members: readonly TenantId[] }
  | { readonly type: 'begin-round'; readonly present: readonly TenantId[] }
  | {
      readonly type: 'ask';
      readonly stage: number;
      readonly attempt: number;
      readonly tenants: readonly TenantId[];
      readonly openers: readonly TenantId[];
      /** nobody is there: after a restart, say */
      readonly patient: boolean;
    }
  | { readonly type: 'conclude-keying'; readonly stage: Stage }
  | { readonly type: 'charge'; readonly stage: Stage }
  | {
      readonly type: 'open';
      readonly contribute: Stage;
      readonly share: { readonly stage: Stage; readonly attempt: number } | undefined;
    }
  | { readonly type: 'abandon'; readonly reason: AbandonReason }
  | { readonly type: 'wait' }
  | { readonly type: 'complete' }
  | { readonly type: 'stop'; readonly reason: StopReason };

type Openers = (present: readonly TenantId[]) => readonly TenantId[];

/**
 * @param openers - the protocol's choice of whom to ask to open, among those given
 * @param spent - tenants that say themselves that they cannot pay for another opening
 */
export function nextMove(
  state: TaskState,
  rules: TaskRules,
  present: ReadonlySet<TenantId>,
  openers: Openers,
  spent: ReadonlySet<TenantId> = new Set(),
): Move | undefined {
  if (state.phase !== 'running') return undefined;
  const { conversation } = state;
  if (conversation === undefined) return between(state, rules, present, openers, spent);
  switch (conversation.phase) {
    case 'closed':
      return afterStage(state, conversation, rules, present, openers);
    case 'lapsed':
      return again(state, conversation, present, openers);
    default:
      return undefined; // asking: the tenants' turn
  }
}

/** Between conversations: the next round, new keys, or the end. */
function between(
  state: Running,
  rules: TaskRules,
  present: ReadonlySet<TenantId>,
  openers: Openers,
  spent: ReadonlySet<TenantId>,
): Move | undefined {
  if (state.steps === rules.steps) return state.end === undefined ? { type: 'complete' } : undefined;
  if (state.accepted.length < rules.minCohort) return { type: 'stop', reason: whyTooFew(state) };
  if (state.charges >= rules.openings) return { type: 'stop', reason: 'openings-exhausted' };
  if (state.failures > MAX_FAILURES) return { type: 'stop', reason: 'too-many-failures' };
  // who can pay for no more would decline, and hear nothing of the end: it is not asked, and told what the others open
  const paying = state.accepted.filter(
    (tenant) => !spent.has(tenant) && (state.contributed.get(tenant) ?? 0) < rules.openings,
  );
  if (paying.length < rules.minCohort) return { type: 'stop', reason: 'budget-exhausted' };
  const here = paying.filter((tenant) => present.has(tenant));
  const holders = here.filter((tenant) => state.members.includes(tenant));
  const lasting = holders.length === here.length && !isWorn(state, rules);
  if (state.keyed && lasting && holders.length >= rules.minCohort && finds(openers, holders, rules))
    return { type: 'begin-round', present: holders };
  if (here.length >= rules.minCohort) return { type: 'begin-epoch', members: here };
  return state.waitingSince === undefined ? { type: 'wait' } : undefined;
}

/**
 * Might the tenants refuse to open the next sum under these keys, asked as often as a round may ask? Then there are new ones
 * first, or a sum would be paid for and stay shut. Keys that were never used are used, whatever the limit.
 */
function isWorn({ askedToOpen }: Running, { protocol, openingsPerEpoch }: TaskRules): boolean {
  const attempts = protocol.summing.find(({ gate }) => gate === 'open')?.attempts ?? 0;
  return askedToOpen > 0 && askedToOpen + Math.max(1, attempts) > openingsPerEpoch;
}

/** Where tenants are named to open, not all may be able to: without enough of those that can, a sum would be paid for and stay shut. */
function finds(openers: Openers, cohort: readonly TenantId[], { protocol: { summing } }: TaskRules): boolean {
  const named = summing.some(({ gate }) => gate === 'open') && !summing.some(({ gate }) => gate === 'agree');
  return !named || openers(cohort).length > 0;
}

type Closed = Extract<RoundState, { phase: 'closed' }>;

function afterStage(
  state: Running,
  { stage, attempt, cohort, charge }: Closed,
  rules: TaskRules,
  present: ReadonlySet<TenantId>,
  openers: Openers,
): Move {
  const stages = stagesOf(state, rules);
  const next = stages[stage + 1];
  if (state.keyed && stage >= 0 && charge === undefined && !finds(openers, able(state, cohort), rules))
    return { type: 'abandon', reason: 'openers-lost' };
  if (stage >= 0 && stages[stage]!.gate === 'contribute' && charge === undefined)
    return { type: 'charge', stage: stages[stage]! };
  const patient = present.size === 0;
  if (next?.gate === 'open') return askToOpen(stage + 1, 1, able(state, cohort), present, openers);
  if (next !== undefined) return { type: 'ask', stage: stage + 1, attempt: 1, tenants: cohort, openers: [], patient };
  if (!state.keyed) return { type: 'conclude-keying', stage: stages[stage]! };
  const contribute = stages.find(({ gate }) => gate === 'contribute')!;
  const share = stages[stage]!.gate === 'open' ? { stage: stages[stage]!, attempt } : undefined;
  return { type: 'open', contribute, share };
}

/** Those who are there; when they are too few, the others have the stage's grace to come back: the sum is paid for. */
function askToOpen(
  stage: number,
  attempt: number,
  cohort: readonly TenantId[],
  present: ReadonlySet<TenantId>,
  openers: Openers,
): Move {
  const here = openers(cohort.filter((tenant) => present.has(tenant)));
  const asked = here.length > 0 ? here : openers(cohort);
  if (asked.length === 0) return { type: 'abandon', reason: 'openers-lost' };
  return { type: 'ask', stage, attempt, tenants: asked, openers: asked, patient: present.size === 0 };
}

/** An opener was lost: others are asked for the same sum, never the very same set. */
function again(
  state: Running,
  { stage, attempt, charge, silent }: Extract<RoundState, { phase: 'lapsed' }>,
  present: ReadonlySet<TenantId>,
  openers: Openers,
): Move {
  if (charge === undefined) return { type: 'abandon', reason: 'tenant-lost' };
  const others = able(state, charge.cohort).filter((tenant) => !silent.includes(tenant));
  return askToOpen(stage, attempt + 1, others, present, openers);
}

/** Who declined the task, or said that it cannot answer in this epoch, will not open anything. */
const able = ({ accepted, members }: Running, cohort: readonly TenantId[]): TenantId[] =>
  cohort.filter((tenant) => accepted.includes(tenant) && members.includes(tenant));
