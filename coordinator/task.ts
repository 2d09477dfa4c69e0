import type { SecureSum, TenantId } from '../aggregation/secure-sum.ts';
import { EMPTY_LEDGER, type LedgerPosition, positionOf } from '../privacy/ledger.ts';
import * as round from './round.ts';

/**
 * A task from proposal to release, as two pure functions around those of the round.
 *
 *   proposed ──enough accept, plan witnessed──▶ running ──every step done, end witnessed──▶ finished
 *      │                                           │
 *      └───────────────────────────────────────────┴──────▶ stopped
 *
 * Witnessed: as many tenants as open a sum have cosigned a ledger that holds the plan, or the end, of the task.
 *
 * While running, a task is in one conversation at a time: keys are made for an epoch (round 0 of the epoch),
 * then rounds follow, each opening at most one sum. An abandoned round is followed by a new one, with a new number
 * and fresh noise; an abandoned keying, or too few tenants that still hold keys, by a new epoch.
 */
export type TaskState =
  | Proposed
  | Running
  | {
      readonly phase: 'finished';
      /** number of the ledger entry that ended the task */
      readonly end: number;
      readonly accepted: readonly TenantId[];
      readonly model: round.Hash;
      readonly charges: number;
      readonly rounds: number;
    }
  | { readonly phase: 'stopped'; readonly reason: StopReason; readonly charges: number; readonly rounds: number };

export interface Proposed {
  readonly phase: 'proposed';
  readonly proposedAt: number;
  /** hash of the parameters the task starts from */
  readonly model: round.Hash;
  /** number of the plan's ledger entry */
  readonly entry: number;
  readonly witnessed: boolean;
  readonly accepted: readonly TenantId[];
  /** why each tenant that declined did */
  readonly declined: Readonly<Record<TenantId, Decline>>;
}

export interface Running {
  readonly phase: 'running';
  /** number of the ledger entry that ends the task; undefined while steps are left */
  readonly end: number | undefined;
  readonly accepted: readonly TenantId[];
  readonly declined: Readonly<Record<TenantId, Decline>>;
  /** 0 until the first keys are asked for */
  readonly epoch: number;
  /** tenants that were asked to make this epoch's keys; positions in it number the parties */
  readonly parties: readonly TenantId[];
  /** those of them that hold keys, or are making them */
  readonly members: readonly TenantId[];
  readonly keyed: boolean;
  /** how often tenants were asked to open under this epoch's keys; who is asked counts it as opened */
  readonly askedToOpen: number;
  /** number of the last round begun; never reused */
  readonly round: number;
  /** the ledger when the epoch began, and when the round did */
  readonly epochHead: LedgerPosition;
  readonly roundHead: LedgerPosition;
  /** sums opened so far: steps the model has taken */
  readonly steps: number;
  /** openings charged to the ledger so far, those that failed included */
  readonly charges: number;
  /** hash of the current parameters */
  readonly model: round.Hash;
  /** keying when `!keyed`, summing otherwise; undefined between conversations */
  readonly conversation: round.RoundState | undefined;
  /** since when the task has been waiting for enough tenants; undefined when it is not */
  readonly waitingSince: number | undefined;
  /** conversations abandoned since the last sum was opened */
  readonly failures: number;
}

/** A task whose conversations fail this often in a row is stopped: something is wrong that retrying does not mend. */
export const MAX_FAILURES = 10;

export type TaskFact =
  | { readonly type: 'proposed'; readonly at: number; readonly model: round.Hash; readonly entry: number }
  /** the quorum has cosigned a ledger with the plan in it */
  | { readonly type: 'witnessed' }
  | { readonly type: 'accepted'; readonly tenant: TenantId }
  | ({ readonly type: 'declined'; readonly tenant: TenantId } & Decline)
  | { readonly type: 'begun' }
  | { readonly type: 'waiting'; readonly at: number }
  /** the coordinator is back: while it was away nobody could answer, so no patience was used up */
  | { readonly type: 'resumed'; readonly at: number }
  | {
      readonly type: 'epoch-begun';
      readonly epoch: number;
      readonly members: readonly TenantId[];
      readonly head: LedgerPosition;
    }
  | {
      readonly type: 'round-begun';
      readonly round: number;
      readonly present: readonly TenantId[];
      readonly head: LedgerPosition;
    }
  | { readonly type: 'in-round'; readonly fact: round.RoundFact }
  | { readonly type: 'opened'; readonly sumHash: round.Hash; readonly model: round.Hash }
  /** every step is done, and the ledger says so */
  | { readonly type: 'completed'; readonly entry: number }
  /** the quorum has cosigned that: from here on the result counts */
  | { readonly type: 'finished' }
  | { readonly type: 'stopped'; readonly reason: StopReason }
  /** the store was restored from a backup, and the ledger's later entries: what it charged is known, what was said is not */
  | { readonly type: 'restored'; readonly charges: number; readonly rounds: number };

/** Why a task ended early, as the ledger has it. Who declined, and why, is in the task's status. */
export type StopReason =
  | 'tenants-declined'
  | 'budget-exhausted'
  | 'too-few-accepted'
  | 'not-witnessed'
  | 'too-few-connected'
  | 'openings-exhausted'
  | 'too-many-failures'
  | 'coordinator-error'
  | 'stopped-by-operator'
  /** the coordinator lost its store while the task ran */
  | 'restored';

/** Why a tenant declined. */
export interface Decline {
  readonly cause: DeclineCause;
  readonly reason: string;
}
/** 'roster': not its own word; its key is not the one in the plan any more */
export type DeclineCause = 'policy' | 'budget' | 'data' | 'broken-promise' | 'roster';

export interface TaskRules {
  readonly protocol: Pick<SecureSum, 'keying' | 'summing'>;
  readonly roster: readonly TenantId[];
  readonly minCohort: number;
  readonly threshold: number;
  /** openings the noise was calibrated for: not one more is ever charged */
  readonly openings: number;
  /** how often tenants may be asked to open under the keys of one epoch */
  readonly openingsPerEpoch: number;
  /** sums the task needs */
  readonly steps: number;
  readonly stageTimeoutMs: number;
  readonly stragglerMs?: number;
  readonly graceMs: number;
  readonly patienceMs: number;
}

export type TaskMessage =
  | { readonly type: 'accept'; readonly tenant: TenantId }
  | ({ readonly type: 'decline'; readonly tenant: TenantId } & Decline)
  | (Extract<round.RoundMessage, { type: 'say' }> & { readonly epoch: number; readonly round: number })
  | (Extract<round.RoundMessage, { type: 'cannot' }> & { readonly epoch: number; readonly round: number })
  /** the quorum has cosigned what the task waits for: its plan, or its end */
  | { readonly type: 'witnessed' }
  | Extract<round.RoundMessage, { type: 'tick' }>;

export type TaskRefusal = round.Refusal | 'unknown-tenant' | 'already-answered' | 'wrong-round' | 'task-over';

const initial: Proposed = {
  ...{ phase: 'proposed', proposedAt: 0, model: '', entry: 0, witnessed: false },
  ...{ accepted: [], declined: {} },
};

export const replay = (facts: Iterable<TaskFact>, rules: TaskRules): TaskState => {
  let state: TaskState = initial;
  for (const fact of facts) state = advance(state, fact, rules);
  return state;
};

export function decide(state: TaskState, message: TaskMessage, rules: TaskRules): readonly TaskFact[] | TaskRefusal {
  if (state.phase !== 'proposed' && state.phase !== 'running') return message.type === 'tick' ? [] : 'task-over';
  switch (message.type) {
    case 'accept':
    case 'decline':
      return answer(state, message, rules);
    case 'say':
    case 'cannot':
      return said(state, message, rules);
    case 'witnessed':
      return witnessed(state, rules);
    case 'tick':
      return state.phase === 'proposed' ? tickProposed(state, message, rules) : tickRunning(state, message, rules);
  }
}

function answer(
  state: Proposed | Running,
  message: Extract<TaskMessage, { type: 'accept' | 'decline' }>,
  rules: TaskRules,
): readonly TaskFact[] | TaskRefusal {
  const { tenant } = message;
  if (!rules.roster.includes(tenant)) return 'unknown-tenant';
  if (Object.hasOwn(state.declined, tenant)) return 'already-answered';
  if (message.type === 'decline') {
    const { cause, reason } = message;
    return [{ type: 'declined', tenant, cause, reason }, ...withdrawn(state, tenant, rules)];
  }
  if (state.accepted.includes(tenant)) return []; // a client that came back says so again
  const accepted: TaskFact = { type: 'accepted', tenant };
  const answered = state.accepted.length + 1 + Object.keys(state.declined).length;
  const all = state.phase === 'proposed' && state.witnessed && answered >= rules.roster.length;
  return all && state.accepted.length + 1 >= rules.minCohort ? [accepted, { type: 'begun' }] : [accepted];
}

function witnessed(state: Proposed | Running, rules: TaskRules): readonly TaskFact[] {
  if (state.phase === 'running') return state.end === undefined ? [] : [{ type: 'finished' }];
  if (state.witnessed) return [];
  const all = state.accepted.length + Object.keys(state.declined).length >= rules.roster.length;
  return all && state.accepted.length >= rules.minCohort
    ? [{ type: 'witnessed' }, { type: 'begun' }]
    : [{ type: 'witnessed' }];
}

/** A tenant that declines while it is asked does not keep the others waiting. */
function withdrawn(state: Proposed | Running, tenant: TenantId, rules: TaskRules): readonly TaskFact[] {
  if (state.phase !== 'running' || state.conversation?.phase !== 'asking') return [];
  const facts = round.decide(state.conversation, { type: 'cannot', tenant }, roundRules(state, rules));
  return typeof facts === 'string' ? [] : facts.map(inRound);
}

function said(
  state: TaskState,
  message: Extract<TaskMessage, { type: 'say' | 'cannot' }>,
  rules: TaskRules,
): readonly TaskFact[] | TaskRefusal {
  if (state.phase !== 'running' || state.conversation === undefined) return 'wrong-round';
  if (message.epoch !== state.epoch || message.round !== (state.keyed ? state.round : 0)) return 'wrong-round';
  const facts = round.decide(state.conversation, message, roundRules(state, rules));
  return typeof facts === 'string' ? facts : facts.map(inRound);
}

function tickProposed(state: Proposed, { at }: { at: number }, rules: TaskRules): readonly TaskFact[] {
  const open = rules.roster.length - Object.keys(state.declined).length;
  if (open < rules.minCohort) return [{ type: 'stopped', reason: whyTooFew(state) }];
  const waited = at - state.proposedAt;
  const everyone = state.accepted.length === open;
  const enough = state.accepted.length >= rules.minCohort;
  if (state.witnessed && enough && (everyone || waited >= round.waitWithEnough(rules))) return [{ type: 'begun' }];
  if (waited < rules.patienceMs) return [];
  return [{ type: 'stopped', reason: enough ? 'not-witnessed' : 'too-few-accepted' }];
}

/** Too few are left that accept. A budget that is used up is the reason people will ask about: it is named first. */
export const whyTooFew = ({ declined }: Pick<Proposed, 'declined'>): StopReason =>
  Object.values(declined).some(({ cause }) => cause === 'budget') ? 'budget-exhausted' : 'tenants-declined';

function tickRunning(
  state: Running,
  message: Extract<TaskMessage, { type: 'tick' }>,
  rules: TaskRules,
): readonly TaskFact[] {
  if (state.conversation === undefined)
    return state.waitingSince !== undefined && message.at - state.waitingSince >= rules.patienceMs
      ? [{ type: 'stopped', reason: 'too-few-connected' }]
      : [];
  const facts = round.decide(state.conversation, message, roundRules(state, rules));
  return typeof facts === 'string' ? [] : facts.map(inRound);
}

export const inRound = (fact: round.RoundFact): TaskFact => ({ type: 'in-round', fact });

export function stagesOf(state: Running, rules: TaskRules): TaskRules['protocol']['keying'] {
  return state.keyed ? rules.protocol.summing : rules.protocol.keying;
}

export const roundRules = (state: Running, rules: TaskRules): round.RoundRules => ({
  ...rules,
  stages: stagesOf(state, rules),
});

/** @throws Error when the store holds a fact this state cannot follow */
export function advance(state: TaskState, fact: TaskFact, rules: TaskRules): TaskState {
  if (fact.type === 'proposed') {
    if (state !== initial) throw impossible(state, fact);
    return { ...initial, proposedAt: fact.at, model: fact.model, entry: fact.entry };
  }
  if (state.phase === 'finished' || state.phase === 'stopped') throw impossible(state, fact);
  switch (fact.type) {
    case 'accepted':
      if (state.accepted.includes(fact.tenant)) throw impossible(state, fact);
      return { ...state, accepted: [...state.accepted, fact.tenant].sort() };
    case 'declined':
      return {
        ...state,
        accepted: state.accepted.filter((tenant) => tenant !== fact.tenant),
        declined: { ...state.declined, [fact.tenant]: { cause: fact.cause, reason: fact.reason } },
      };
    case 'witnessed':
      if (state.phase !== 'proposed') throw impossible(state, fact);
      return { ...state, witnessed: true };
    case 'begun':
      if (state.phase !== 'proposed' || !state.witnessed) throw impossible(state, fact);
      return begun(state);
    case 'resumed':
      return state.phase === 'proposed' ? { ...state, proposedAt: fact.at } : resumed(state, fact.at, rules);
    case 'stopped':
      if (state.phase === 'running' && state.end !== undefined) throw impossible(state, fact);
      return { phase: 'stopped', reason: fact.reason, charges: 0, rounds: 0, ...counts(state) };
    case 'restored':
      return { phase: 'stopped', reason: 'restored', charges: fact.charges, rounds: fact.rounds };
    default:
      if (state.phase !== 'running') throw impossible(state, fact);
      return advanceRunning(state, fact, rules);
  }
}

const counts = (state: TaskState): { charges: number; rounds: number } | object =>
  state.phase === 'running' ? { charges: state.charges, rounds: state.round } : {};

function resumed(state: Running, at: number, rules: TaskRules): Running {
  const { conversation, waitingSince } = state;
  return {
    ...state,
    waitingSince: waitingSince === undefined ? undefined : at,
    conversation: conversation && round.advance(conversation, { type: 'resumed', at }, roundRules(state, rules)),
  };
}

function begun({ accepted, declined, model }: Proposed): Running {
  const nothing = { epoch: 0, parties: [], members: [], keyed: false, askedToOpen: 0, round: 0, steps: 0, charges: 0 };
  return {
    phase: 'running',
    end: undefined,
    accepted,
    declined,
    ...nothing,
    epochHead: positionOf(EMPTY_LEDGER),
    roundHead: positionOf(EMPTY_LEDGER),
    model,
    conversation: undefined,
    waitingSince: undefined,
    failures: 0,
  };
}

function advanceRunning(state: Running, fact: TaskFact, rules: TaskRules): TaskState {
  switch (fact.type) {
    case 'waiting':
      return { ...state, waitingSince: fact.at };
    case 'epoch-begun':
      if (state.conversation !== undefined || fact.epoch !== state.epoch + 1) throw impossible(state, fact);
      return {
        ...state,
        epoch: fact.epoch,
        parties: fact.members,
        members: fact.members,
        askedToOpen: 0,
        epochHead: fact.head,
        waitingSince: undefined,
        ...keying(fact.members, rules),
      };
    case 'round-begun':
      if (state.conversation !== undefined || !state.keyed || fact.round !== state.round + 1)
        throw impossible(state, fact);
      return {
        ...state,
        round: fact.round,
        roundHead: fact.head,
        waitingSince: undefined,
        conversation: round.opening(fact.present),
      };
    case 'in-round':
      return inConversation(state, fact.fact, rules);
    case 'opened':
      if (state.conversation?.phase !== 'done' || state.conversation.charge?.sumHash !== fact.sumHash)
        throw impossible(state, fact);
      return { ...state, steps: state.steps + 1, model: fact.model, conversation: undefined, failures: 0 };
    case 'completed':
      if (state.steps !== rules.steps || state.end !== undefined) throw impossible(state, fact);
      return { ...state, end: fact.entry };
    case 'finished':
      if (state.end === undefined) throw impossible(state, fact);
      return finished(state, state.end);
    default:
      throw impossible(state, fact);
  }
}

const finished = ({ accepted, model, charges, round: rounds }: Running, end: number): TaskState => ({
  phase: 'finished',
  end,
  accepted,
  model,
  charges,
  rounds,
});

/** A protocol without keys is keyed at once. */
const keying = (members: readonly TenantId[], rules: TaskRules): Pick<Running, 'keyed' | 'conversation'> =>
  rules.protocol.keying.length === 0
    ? { keyed: true, conversation: undefined }
    : { keyed: false, conversation: round.opening(members) };

function inConversation(state: Running, fact: round.RoundFact, rules: TaskRules): Running {
  if (state.conversation === undefined) throw impossible(state, { type: 'in-round', fact });
  const conversation = round.advance(state.conversation, fact, roundRules(state, rules));
  if (fact.type === 'withdrew')
    return { ...state, conversation, members: state.members.filter((tenant) => tenant !== fact.tenant) };
  if (fact.type === 'asked' && stagesOf(state, rules)[fact.stage]?.gate === 'open')
    return { ...state, conversation, askedToOpen: state.askedToOpen + 1 };
  if (fact.type === 'charged') return charged({ ...state, conversation }, rules);
  if (conversation.phase === 'abandoned') return abandoned(state, fact);
  if (conversation.phase === 'done' && !state.keyed) return { ...state, keyed: true, conversation: undefined };
  // who was heard in the first keying stage holds a key share; from then on these are the members
  if (!state.keyed && fact.type === 'closed' && conversation.phase === 'closed' && conversation.stage === 0)
    return { ...state, members: conversation.cohort, conversation };
  return { ...state, conversation };
}

function charged(state: Running, rules: TaskRules): Running {
  if (state.charges >= rules.openings)
    throw new Error(`the noise is calibrated for ${rules.openings} openings; there is no opening ${state.charges + 1}`);
  return { ...state, charges: state.charges + 1 };
}

/** Losing tenants costs no keys; a protocol that broke, or a coordinator that forgot its side, does. */
const KEYS_SURVIVE: readonly round.AbandonReason[] = [
  'too-few-tenants',
  'tenant-lost',
  'openers-lost',
  'openings-exhausted',
];

function abandoned(state: Running, fact: round.RoundFact): Running {
  // too few that could open were even ready: who makes keys next, opens
  const unopened =
    fact.type === 'abandoned' && fact.reason === 'openers-lost' && state.conversation?.charge === undefined;
  const keyed = state.keyed && fact.type === 'abandoned' && KEYS_SURVIVE.includes(fact.reason) && !unopened;
  return { ...state, keyed, conversation: undefined, failures: state.failures + 1 };
}

function impossible(state: TaskState, fact: TaskFact): Error {
  return new Error(`event store damaged: "${fact.type}" cannot follow "${state.phase}"`);
}
