import { Packr } from 'msgpackr';
import { hex, type Plan, rosterHash, taskId } from '../aggregation/plan.ts';
import type { Received, ReceivedAll, StoredVector, TenantId } from '../aggregation/secure-sum.ts';
import {
  heardHash,
  isStatement,
  type Occasion,
  type Place,
  type Relayed,
  relayTo,
  type Statement,
  sha256,
  transcriptOf,
} from '../aggregation/transcript.ts';
import type { FromClient } from '../aggregation/wire.ts';
import type { RoundState } from './round.ts';
import { Spool, type SpooledLetters } from './spool.ts';
import type { BodyPlace, EventStore } from './store/event-store.ts';
import { type Running, stagesOf, type TaskRules } from './task.ts';
import { storedVector } from './uploads.ts';

/**
 * What tenants say in the conversation under way: whether it is theirs, said here and now, and what of it is passed on.
 *
 * The store holds the bodies, durable with the facts that name their hashes; this is their cache, and can be built again
 * from it at any time. What is sealed is not in memory here either (`spool.ts`).
 */
export class Hearing {
  readonly #plan: Plan;
  readonly #task: string;
  readonly #rules: TaskRules;
  readonly #store: EventStore;
  readonly #keys: ReadonlyMap<TenantId, Uint8Array>;
  readonly #spool: Spool;
  readonly #said = new Map<string, Map<TenantId, Shown>>();
  /** what the stage being asked has heard; the same for all who are asked */
  #heard: { readonly key: string; readonly hash: Uint8Array } | undefined;

  /** @param scratch - a folder for what need not outlive this process */
  constructor(plan: Plan, rules: TaskRules, store: EventStore, scratch: string) {
    this.#plan = plan;
    this.#task = taskId(plan);
    this.#rules = rules;
    this.#store = store;
    this.#spool = new Spool(scratch);
    // copies: a short Buffer keeps a whole pool of them in memory, for as long as the task is known
    this.#keys = new Map(plan.roster.map(({ tenant, key }) => [tenant, Uint8Array.from(Buffer.from(key, 'hex'))]));
  }

  /** Is this a tenant of the plan's roster? */
  knows(tenant: TenantId): boolean {
    return this.#keys.has(tenant);
  }

  /** Why this was not said by this tenant, in answer to what it was asked last; undefined when it was. */
  refusal(state: Running, asking: Asking, statement: Statement, message: Where): string | undefined {
    const key = this.#keys.get(statement.from);
    if (key === undefined) return 'unknown-tenant';
    if (message.epoch !== state.epoch || message.round !== roundNumber(state)) return 'wrong-round';
    const stage = stagesOf(state, this.#rules)[asking.stage]!;
    if (message.stage !== stage.name || message.attempt !== asking.attempt) return 'wrong-stage';
    if (asking.said.has(statement.from)) return 'already-said'; // its vector is with what it said then
    const place = this.#place(state, asking.stage, asking.attempt);
    return isStatement(key, place, statement) ? undefined : 'bad-signature';
  }

  /** Everything said at a place, by tenant. */
  said(place: BodyPlace): ReadonlyMap<TenantId, Shown> {
    return this.#at(place);
  }

  /** Takes in what is on disk by now. */
  hear(place: BodyPlace, statement: Statement): void {
    const said = this.#at(place);
    if (!said.has(statement.from)) said.set(statement.from, this.#shown(statement));
  }

  /** Statements of the stage before `stage`, as all are shown them who are asked. */
  before(state: Running, stage: number): Relayed[] {
    return this.#before(state, stage).map(({ relayed }) => relayed);
  }

  /** How much of it is sealed to `tenant`: bytes. */
  letterBytes(state: Running, stage: number, tenant: TenantId): number {
    return this.#before(state, stage).reduce((sum, { sealed }) => sum + sealed.lengthTo(tenant), 0);
  }

  /** What of it is sealed to `tenant`, by who sealed it. */
  letters(state: Running, stage: number, tenant: TenantId): ReadonlyMap<TenantId, Uint8Array> {
    const letters = this.#before(state, stage).map(
      ({ relayed, sealed }) => [relayed.from, sealed.get(tenant)] as const,
    );
    return new Map(letters.flatMap(([from, letter]) => (letter === undefined ? [] : [[from, letter] as const])));
  }

  occasion(state: Running): Occasion {
    const { federation, roster } = this.#plan;
    return {
      federation,
      roster: rosterHash(roster),
      task: this.#task,
      epoch: state.epoch,
      round: roundNumber(state),
      model: state.keyed ? state.model : '',
      ledger: (state.keyed ? state.roundHead : state.epochHead).hash,
    };
  }

  forget(): void {
    this.#said.clear();
    this.#spool.clear();
    this.#heard = undefined;
  }

  #before(state: Running, stage: number): Shown[] {
    if (stage === 0) return [];
    const { name } = stagesOf(state, this.#rules)[stage - 1]!;
    // only an opening stage has attempts, and nothing follows it
    return [...this.#at(placeOf(state, name, 1)).values()];
  }

  #at(place: BodyPlace): Map<TenantId, Shown> {
    const key = `${place.epoch}/${place.round}/${place.stage}/${place.attempt}`;
    let found = this.#said.get(key);
    if (found === undefined) {
      found = new Map();
      for (const [tenant, body] of this.#store.bodies(this.#task, place))
        found.set(tenant, this.#shown(this.#fromBody(place, body)));
      this.#said.set(key, found);
    }
    return found;
  }

  #shown(statement: Statement): Shown {
    // copies: it came in one piece with all that is sealed, which would stay in memory with it
    const [open, signature] = [new Uint8Array(statement.open), new Uint8Array(statement.signature)];
    const relayed = relayTo('', { ...statement, open, signature });
    const { sealed, vector } = statement;
    return { relayed, open, sealed: this.#spool.put(sealed), ...(vector ? { vector } : {}) };
  }

  #fromBody(place: BodyPlace, body: Uint8Array): Statement {
    const { from, open, sealed, vector, signature } = packr.unpack(body) as Body;
    const stored = vector && storedVector(this.#store, this.#task, place, from, vector);
    return { from, open, sealed: new Map(sealed), ...(stored ? { vector: stored } : {}), signature };
  }

  #place(state: Running, stage: number, attempt: number): Place {
    const key = `${state.epoch}/${roundNumber(state)}/${stage}`;
    if (this.#heard?.key !== key) this.#heard = { key, hash: heardHash(this.before(state, stage)) };
    const { name } = stagesOf(state, this.#rules)[stage]!;
    return { transcript: transcriptOf(this.occasion(state)), stage: name, attempt, heard: this.#heard.hash };
  }
}

/** What was said, as it is at hand: what all are shown of it, and what is sealed, on disk. */
export interface Shown extends Received {
  readonly relayed: Relayed;
  readonly sealed: SpooledLetters;
}

export type Say = Extract<FromClient, { type: 'say' }>;
export type Where = Pick<Say, 'epoch' | 'round' | 'stage' | 'attempt'>;
type Asking = Extract<RoundState, { phase: 'asking' }>;

/** While keys are made the round is 0. */
export const roundNumber = (state: Running): number => (state.keyed ? state.round : 0);

export const placeOf = (state: Running, stage: string, attempt: number): BodyPlace => ({
  epoch: state.epoch,
  round: roundNumber(state),
  stage,
  attempt,
});

/** @param vector - what of it was sent ahead */
export const statementOf = (
  tenant: TenantId,
  { open, sealed, signature }: Say,
  vector: StoredVector | undefined,
): Statement => ({ from: tenant, open, sealed: new Map(sealed), ...(vector ? { vector } : {}), signature });

/** In order of name. */
export const sorted = (statements: ReceivedAll): ReceivedAll =>
  new Map([...statements].sort(([a], [b]) => (a < b ? -1 : 1)));

const packr = new Packr({ useRecords: false, moreTypes: false });

interface Body {
  readonly from: TenantId;
  readonly open: Uint8Array;
  readonly sealed: [TenantId, Uint8Array][];
  readonly vector?: { readonly length: number; readonly hash: Uint8Array };
  readonly signature: Uint8Array;
}

/** The vector beside a statement that is stored; undefined when it has none. @throws Error when it is no statement */
export const vectorIn = (body: Uint8Array): Body['vector'] => (packr.unpack(body) as Body).vector;

/** A statement as it is stored, its vector beside it, and the hash that the fact names. */
export function bodyOf({ from, open, sealed, vector, signature }: Statement): { body: Uint8Array; hash: string } {
  const named = vector && { vector: { length: vector.length, hash: vector.hash } };
  const body = packr.pack({ from, open, sealed: [...sealed], ...named, signature } satisfies Body);
  return { body, hash: hex(sha256(body)) };
}
