import type { TenantId } from '../aggregation/secure-sum.ts';
import * as round from './round.ts';
import {
  inRound,
  type Proposed,
  type Running,
  roundRules,
  type StopReason,
  type TaskFact,
  type TaskMessage,
  type TaskRefusal,
  type TaskRules,
  type TaskState,
} from './task.ts';

/** What comes of a message: facts, to be stored before anything is acknowledged, or why it is turned away. */
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
