import type { SecureSum, TenantId } from '../aggregation/secure-sum.ts';
import type { LedgerPosition } from '../privacy/ledger.ts';
import type * as round from './round.ts';

/**
 * A task from proposal to release, as two pure functions around those of the round (`decide-task.ts`, `advance-task.ts`): its states,
 * facts, messages and rules.
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
  /** in how many rounds each tenant has contributed, those that were given up included: it has paid for each */
  readonly contributed: ReadonlyMap<TenantId, number>;
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

/** What happens in a conversation happens to the task. */
export const inRound = (fact: round.RoundFact): TaskFact => ({ type: 'in-round', fact });

/** Of the conversation under way: keying until there are keys, then summing. */
export function stagesOf(state: Running, rules: TaskRules): TaskRules['protocol']['keying'] {
  return state.keyed ? rules.protocol.summing : rules.protocol.keying;
}

/** The rules of the conversation under way. */
export const roundRules = (state: Running, rules: TaskRules): round.RoundRules => ({
  ...rules,
  stages: stagesOf(state, rules),
});
