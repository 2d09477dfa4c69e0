import type { Stage, TenantId } from '../aggregation/secure-sum.ts';
import { closesAfter, fewest, silentOf, waitWithEnough } from './round.ts';
import { type Proposed, type Running, roundRules, stagesOf, type TaskRules, type TaskState } from './task.ts';

/**
 * What a task waits for, whom, and until when at the latest: everything that can end a wait is in the task's settings
 * (`timing` in `aggregation/settings.ts`).
 */
export interface Waiting {
  /** plan: answers to it, or enough cosignatures under it; tenants: enough that are there; stage: what they say; end: that it is cosigned */
  readonly for: 'plan' | 'tenants' | 'stage' | 'end';
  /** of the round under way; 0 while keys are made, or none is */
  readonly round: number;
  /** its name, where a stage is waited for; else empty */
  readonly stage: string;
  readonly gate?: Stage['gate'];
  /** tenants that have answered, of so many, and how many it takes at least */
  readonly answered: number;
  readonly asked: number;
  readonly fewest: number;
  /** the others, by name */
  readonly on: readonly TenantId[];
  /** Unix milliseconds by the coordinator's clock, and how far that is away; left out where it waits as long as it takes */
  readonly until?: number;
  readonly leftMs?: number;
}

/**
 * @param present - tenants with a live connection
 * @param now - Unix milliseconds
 * @returns undefined when nothing is waited for: the task is over, or the coordinator itself is at work
 */
export function waitingOf(
  state: TaskState,
  rules: TaskRules,
  present: ReadonlySet<TenantId>,
  now: number,
): Waiting | undefined {
  const found =
    state.phase === 'proposed'
      ? onPlan(state, rules)
      : state.phase === 'running'
        ? inTask(state, rules, present)
        : undefined;
  return found?.until === undefined ? found : { ...found, leftMs: Math.max(0, found.until - now) };
}

/** As an operator reads it: "round 12: 17 of 20 contributed, closes in 4 s at the latest; not yet: amber, blue, coral". */
export function waitingInWords(waiting: Waiting): string {
  const { round, answered, asked, on } = waiting;
  const others =
    on.length === 0
      ? ''
      : `; not yet: ${on.slice(0, 5).join(', ')}${on.length > 5 ? ` and ${on.length - 5} more` : ''}`;
  const of = `${answered} of ${asked}`;
  switch (waiting.for) {
    case 'plan':
      return `proposed: ${of} accepted, at least ${waiting.fewest} must, and cosign it${within('stops', waiting)}${others}`;
    case 'tenants':
      return `${of} are there, at least ${waiting.fewest} must be${within('stops', waiting)}${others}`;
    case 'end':
      return 'done: waits until enough tenants have cosigned the end';
    case 'stage': {
      const where = round === 0 ? `keys (${waiting.stage})` : `round ${round}`;
      return `${where}: ${of} ${DONE[waiting.gate ?? 'prepare']}${within('closes', waiting)}${others}`;
    }
  }
}

/** What a tenant has done that has answered. */
const DONE: Readonly<Record<Stage['gate'], string>> = {
  prepare: 'are ready',
  contribute: 'contributed',
  agree: 'agreed on who is in the sum',
  open: 'sent what opens it',
};

const within = (what: string, { leftMs }: Waiting): string =>
  leftMs === undefined ? '' : `, ${what} in ${Math.ceil(leftMs / 1000)} s at the latest`;

function onPlan({ proposedAt, accepted, declined, witnessed }: Proposed, rules: TaskRules): Waiting {
  const on = rules.roster.filter((tenant) => !accepted.includes(tenant) && !Object.hasOwn(declined, tenant));
  const enough = witnessed && accepted.length >= rules.minCohort;
  const until = proposedAt + (enough ? Math.min(waitWithEnough(rules), rules.patienceMs) : rules.patienceMs);
  const counts = { answered: accepted.length, asked: rules.roster.length, fewest: rules.minCohort };
  return { for: 'plan', round: 0, stage: '', ...counts, on, until };
}

function inTask(state: Running, rules: TaskRules, present: ReadonlySet<TenantId>): Waiting | undefined {
  const { conversation, waitingSince, accepted, keyed } = state;
  if (state.end !== undefined)
    return { for: 'end', round: 0, stage: '', answered: 0, asked: accepted.length, fewest: rules.threshold, on: [] };
  if (conversation?.phase === 'asking') {
    const stage = stagesOf(state, rules)[conversation.stage]!;
    const answered = conversation.said.size;
    const counts = {
      answered,
      asked: conversation.asked.length,
      fewest: fewest(stage, conversation.asked, roundRules(state, rules)),
    };
    const until = conversation.askedAt + closesAfter(conversation, roundRules(state, rules));
    const place = { round: keyed ? state.round : 0, stage: stage.name, gate: stage.gate };
    return { for: 'stage', ...place, ...counts, on: silentOf(conversation), until };
  }
  if (waitingSince === undefined) return undefined;
  const on = accepted.filter((tenant) => !present.has(tenant));
  const counts = { answered: accepted.length - on.length, asked: accepted.length, fewest: rules.minCohort };
  return { for: 'tenants', round: 0, stage: '', ...counts, on, until: waitingSince + rules.patienceMs };
}
