import type { Stage, TenantId } from '../aggregation/secure-sum.ts';

/**
 * One conversation with the tenants, keying or summing, as two pure functions.
 *
 *            ┌──────────── next stage ────────────┐
 *            ▼                                    │
 *         asking ──everyone, or enough──▶ closed ─┴─▶ charged ──▶ asking (open) ──▶ closed ──▶ done
 *            │  └──an opener is lost──▶ lapsed ──others are asked──▲
 *            └──────too few────▶ abandoned
 *
 * `decide` turns a message into facts or a refusal; `advance` folds a fact into the state. Nothing here
 * reads a clock, draws randomness or touches storage: replaying the facts through `advance` is crash
 * recovery. What the tenants say is not in here, only its hash; the bodies lie in the event store.
 *
 * Held by `advance`, whatever asks for it: a stage that opens is asked only after the charge is in the
 * ledger, and a sum is charged only over all that contributed, n_min tenants or more.
 */
export type RoundState =
  | {
      readonly phase: 'asking';
      readonly stage: number;
      readonly attempt: number;
      readonly askedAt: number;
      readonly asked: readonly TenantId[];
      readonly said: ReadonlyMap<TenantId, Hash>;
      /** those asked were not there, or the coordinator was away: the whole stage timeout is theirs to come back */
      readonly patient: boolean;
      readonly charge?: Charge;
    }
  | {
      readonly phase: 'closed';
      readonly stage: number;
      readonly attempt: number;
      readonly cohort: readonly TenantId[];
      readonly charge?: Charge;
    }
  | {
      readonly phase: 'lapsed';
      readonly stage: number;
      readonly attempt: number;
      /** who did not answer: asking the very same tenants again would be refused by those who did */
      readonly silent: readonly TenantId[];
      readonly charge?: Charge;
    }
  | { readonly phase: 'done'; readonly charge?: Charge }
  | { readonly phase: 'abandoned'; readonly reason: AbandonReason; readonly charge?: Charge };

/** SHA-256 of what was said, hexadecimal. */
export type Hash = string;

/** The one sum this round may open: written to the ledger before anyone is asked to. */
export interface Charge {
  readonly sumHash: Hash;
  readonly cohort: readonly TenantId[];
}

/** Facts: past tense, stored before anything is acknowledged. Times are Unix milliseconds. */
export type RoundFact =
  | {
      readonly type: 'asked';
      readonly stage: number;
      readonly attempt: number;
      readonly asked: readonly TenantId[];
      readonly at: number;
      readonly patient?: boolean;
    }
  /** the coordinator was away; while it was, nobody could answer */
  | { readonly type: 'resumed'; readonly at: number }
  /** `bytes`: length of what was said, its vector included; not in facts of before it was counted */
  | { readonly type: 'said'; readonly tenant: TenantId; readonly hash: Hash; readonly bytes?: number }
  | { readonly type: 'withdrew'; readonly tenant: TenantId }
  | { readonly type: 'closed' }
  | { readonly type: 'lapsed' }
  | { readonly type: 'charged'; readonly sumHash: Hash }
  | { readonly type: 'concluded' }
  | { readonly type: 'abandoned'; readonly reason: AbandonReason };

export type AbandonReason =
  | 'too-few-tenants'
  | 'tenant-lost'
  | 'openers-lost'
  | 'does-not-open'
  | 'protocol-broken'
  | 'openings-exhausted'
  | 'coordinator-restarted';

export type RoundMessage =
  | {
      readonly type: 'say';
      readonly tenant: TenantId;
      readonly stage: string;
      readonly attempt: number;
      readonly hash: Hash;
      readonly bytes?: number;
    }
  /** asked, but without this epoch's keys, or against its policy: it will not answer in this conversation */
  | { readonly type: 'cannot'; readonly tenant: TenantId }
  /** time passes; `present` are the tenants with a live connection, or one that was lost less than `graceMs` ago */
  | { readonly type: 'tick'; readonly at: number; readonly present: ReadonlySet<TenantId> };

/** Why a message was turned away. The round itself is unharmed. */
export type Refusal = 'not-asked' | 'wrong-stage' | 'already-said' | 'round-over';

export interface RoundRules {
  readonly stages: readonly Stage[];
  /** n_min: fewest tenants a sum may be opened over */
  readonly minCohort: number;
  /** t: fewest tenants that open a sum */
  readonly threshold: number;
  readonly stageTimeoutMs: number;
  readonly stragglerMs?: number;
  readonly graceMs: number;
}

export function decide(state: RoundState, message: RoundMessage, rules: RoundRules): readonly RoundFact[] | Refusal {
  if (state.phase !== 'asking') return message.type === 'tick' ? [] : 'round-over';
  const stage = rules.stages[state.stage]!;
  if (message.type === 'tick') return isDue(state, message, rules) ? conclude(state, stage, rules) : [];
  if (message.type === 'cannot') return withdraw(state, message.tenant, stage, rules);
  if (message.stage !== stage.name || message.attempt !== state.attempt) return 'wrong-stage';
  if (!state.asked.includes(message.tenant)) return 'not-asked';
  if (state.said.has(message.tenant)) return 'already-said';
  const { tenant, hash, bytes } = message;
  const fact = { type: 'said', tenant, hash, ...(bytes === undefined ? {} : { bytes }) } as const;
  const said = new Map(state.said).set(message.tenant, message.hash);
  if (said.size < state.asked.length) return [fact];
  // everyone asked has spoken; but some may have withdrawn before
  return [fact, ...conclude({ ...state, said }, stage, rules)];
}

/** How many of those asked must answer before a stage may close. */
export function fewest({ answers }: Stage, asked: readonly TenantId[], rules: RoundRules): number {
  return answers === 'all' ? asked.length : answers === 'enough' ? rules.minCohort : rules.threshold;
}

export type Asking = Extract<RoundState, { phase: 'asking' }>;

/** Who is still silent is gone and had time to come back; or the stage has waited long enough: less where it has its minimum. */
function isDue(
  state: Asking,
  { at, present }: { at: number; present: ReadonlySet<TenantId> },
  rules: RoundRules,
): boolean {
  const waited = at - state.askedAt;
  if (waited >= closesAfter(state, rules)) return true;
  if (state.patient) return false;
  return waited >= rules.graceMs && silentOf(state).every((tenant) => !present.has(tenant));
}

/** How long after it was asked a stage closes at the latest, as things are: milliseconds. */
export const closesAfter = (state: Asking, rules: RoundRules): number =>
  state.said.size >= fewest(rules.stages[state.stage]!, state.asked, rules)
    ? waitWithEnough(rules)
    : rules.stageTimeoutMs;

/** How long those who are at work are waited for where enough have answered: milliseconds after they were asked. */
export const waitWithEnough = ({
  stragglerMs,
  stageTimeoutMs,
}: Pick<RoundRules, 'stragglerMs' | 'stageTimeoutMs'>): number =>
  Math.min(stragglerMs ?? stageTimeoutMs, stageTimeoutMs);

/** Who is still waited for. */
export const silentOf = ({ asked, said }: Pick<Asking, 'asked' | 'said'>): readonly TenantId[] =>
  asked.filter((tenant) => !said.has(tenant));

function withdraw(state: Asking, tenant: TenantId, stage: Stage, rules: RoundRules): readonly RoundFact[] | Refusal {
  if (!state.asked.includes(tenant)) return 'not-asked';
  if (state.said.has(tenant)) return 'already-said';
  const withdrew = { type: 'withdrew', tenant } as const;
  const waitingForOthers = state.asked.length - 1 > state.said.size;
  return stage.answers !== 'all' && waitingForOthers ? [withdrew] : [withdrew, ...conclude(state, stage, rules)];
}

/** What becomes of a stage that those who have not answered will not answer any more. */
function conclude(state: Asking, stage: Stage, rules: RoundRules): readonly RoundFact[] {
  if (state.said.size >= fewest(stage, state.asked, rules)) return [{ type: 'closed' }];
  if (state.attempt < stage.attempts) return [{ type: 'lapsed' }];
  const lost = stage.answers === 'all' ? 'tenant-lost' : 'too-few-tenants';
  return [{ type: 'abandoned', reason: stage.gate === 'open' ? 'openers-lost' : lost }];
}

/** The state before anyone was asked anything: as if a stage before the first had closed with `cohort`. */
export const opening = (cohort: readonly TenantId[]): RoundState => ({
  phase: 'closed',
  stage: -1,
  attempt: 1,
  cohort,
});

/** @throws Error when the store holds a fact this state cannot follow: the store is damaged, or the caller broke the order */
export function advance(state: RoundState, fact: RoundFact, rules: RoundRules): RoundState {
  switch (fact.type) {
    case 'asked':
      return asking(state, fact, rules);
    case 'said':
      if (!isSilent(state, fact.tenant)) throw impossible(state, fact);
      return { ...state, said: new Map(state.said).set(fact.tenant, fact.hash) };
    case 'withdrew':
      if (!isSilent(state, fact.tenant)) throw impossible(state, fact);
      return { ...state, asked: state.asked.filter((tenant) => tenant !== fact.tenant) };
    case 'closed': {
      if (state.phase !== 'asking') throw impossible(state, fact);
      const { stage, attempt, said, asked, charge } = state;
      if (said.size < fewest(rules.stages[stage]!, asked, rules)) throw impossible(state, fact);
      return { phase: 'closed', stage, attempt, cohort: [...said.keys()].sort(), ...kept(charge) };
    }
    case 'resumed':
      return state.phase === 'asking' ? { ...state, askedAt: fact.at, patient: true } : state;
    case 'lapsed': {
      if (state.phase !== 'asking') throw impossible(state, fact);
      const { stage, attempt, asked, said, charge } = state;
      return { phase: 'lapsed', stage, attempt, silent: silentOf({ asked, said }), ...kept(charge) };
    }
    case 'charged':
      if (state.phase !== 'closed' || state.charge !== undefined) throw impossible(state, fact);
      if (rules.stages[state.stage]?.gate !== 'contribute') throw impossible(state, fact);
      if (state.cohort.length < rules.minCohort)
        throw new Error(
          `a sum over ${state.cohort.length} tenants is never opened, the plan's minimum is ${rules.minCohort}`,
        );
      return { ...state, charge: { sumHash: fact.sumHash, cohort: state.cohort } };
    case 'concluded':
      if (state.phase !== 'closed' || state.stage !== rules.stages.length - 1) throw impossible(state, fact);
      return { phase: 'done', ...kept(state.charge) };
    case 'abandoned':
      if (state.phase === 'done' || state.phase === 'abandoned') throw impossible(state, fact);
      return { phase: 'abandoned', reason: fact.reason, ...kept(state.charge) };
  }
}

function asking(state: RoundState, fact: Extract<RoundFact, { type: 'asked' }>, rules: RoundRules): RoundState {
  const again = state.phase === 'lapsed' && fact.stage === state.stage && fact.attempt === state.attempt + 1;
  const next = state.phase === 'closed' && fact.stage === state.stage + 1 && fact.attempt === 1;
  const stage = rules.stages[fact.stage];
  if (!(again || next) || stage === undefined) throw impossible(state, fact);
  if (again && fact.attempt > stage.attempts) throw impossible(state, fact);
  // charge before opening: a crash may cost budget, never privacy
  if (stage.gate === 'open' && state.charge === undefined)
    throw new Error('nobody may be asked to open before the charge is in the ledger');
  const { asked, attempt, at } = fact;
  const patient = fact.patient ?? false;
  return {
    phase: 'asking',
    stage: fact.stage,
    attempt,
    askedAt: at,
    asked,
    said: new Map(),
    patient,
    ...kept(state.charge),
  };
}

const isSilent = (state: RoundState, tenant: TenantId): state is Asking =>
  state.phase === 'asking' && state.asked.includes(tenant) && !state.said.has(tenant);

const kept = (charge: Charge | undefined): { charge?: Charge } => (charge === undefined ? {} : { charge });

function impossible(state: RoundState, fact: RoundFact): Error {
  return new Error(`event store damaged: "${fact.type}" cannot follow "${state.phase}"`);
}
