import type { TenantId } from '../aggregation/secure-sum.ts';
import { EMPTY_LEDGER, positionOf } from '../privacy/ledger.ts';
import * as round from './round.ts';
import {
  type Proposed,
  type Running,
  roundRules,
  stagesOf,
  type TaskFact,
  type TaskRules,
  type TaskState,
} from './task.ts';

/** The state that facts lead to, from the first on: crash recovery, audit and test. @throws Error when they cannot follow each other */
export const replay = (facts: Iterable<TaskFact>, rules: TaskRules): TaskState => {
  let state: TaskState = initial;
  for (const fact of facts) state = advance(state, fact, rules);
  return state;
};

const initial: Proposed = {
  ...{ phase: 'proposed', proposedAt: 0, model: '', entry: 0, witnessed: false },
  ...{ accepted: [], declined: {} },
};

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
    contributed: new Map(),
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
  if (fact.type === 'said' && isContribution(state, rules))
    return { ...state, conversation, contributed: oneMore(state.contributed, fact.tenant) };
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

function isContribution(state: Running, rules: TaskRules): boolean {
  const { conversation } = state;
  return conversation?.phase === 'asking' && stagesOf(state, rules)[conversation.stage]?.gate === 'contribute';
}

const oneMore = (counts: ReadonlyMap<TenantId, number>, tenant: TenantId): ReadonlyMap<TenantId, number> =>
  new Map(counts).set(tenant, (counts.get(tenant) ?? 0) + 1);

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
