import type {
  CoordinatorEpoch,
  ReceivedAll,
  SecureSum,
  Stage,
  SumShape,
  TenantId,
} from '../../aggregation/secure-sum.ts';
import {
  digest,
  heardHash,
  isStatement,
  type Place,
  type Relayed,
  relayTo,
  type Statement,
  sha256,
} from '../../aggregation/transcript.ts';
import type { RoundState } from '../../coordinator/round.ts';
import { type Running, stagesOf, type TaskFact } from '../../coordinator/task.ts';
import { SummedTenant } from './summed-tenant.ts';
import { RULES, TaskPlay } from './task-play.ts';

/** Where a statement is made. While keys are made the round is 0. */
export interface Where {
  readonly epoch: number;
  readonly round: number;
  readonly stage: string;
  readonly attempt: number;
}
export interface Spoken extends Where {
  readonly statement: Statement;
}

/** A conversation in which tenants are asked something. */
export interface Asking extends Where {
  readonly state: Running;
  readonly asking: Extract<RoundState, { phase: 'asking' }>;
  /** all of this conversation, and which of them is asked now */
  readonly stages: readonly Stage[];
  readonly index: number;
}

export interface SummedOptions {
  readonly protocol: SecureSum;
  readonly roster: readonly TenantId[];
  readonly minCohort: number;
  readonly colluders: number;
  /** openings that the plan pays for */
  readonly openings?: number;
}

/**
 * A task under a secure sum: the coordinator's real decisions, the real protocol, every statement signed and checked. Only
 * the wire is missing: what a tenant says arrives when the test says so, or never.
 */
export class SummedTask {
  readonly protocol: SecureSum;
  readonly shape: SumShape;
  readonly play: TaskPlay;
  readonly tenants: ReadonlyMap<TenantId, SummedTenant>;
  readonly #said = new Map<string, Map<TenantId, Statement>>();
  readonly #sides = new Map<number, { readonly protocol: CoordinatorEpoch; keyed: Promise<void> | undefined }>();

  constructor({ protocol, roster, minCohort, colluders, openings = 1000 }: SummedOptions) {
    this.protocol = protocol;
    const tenants = roster.length;
    const threshold = Math.floor((tenants + colluders) / 2) + 1;
    this.shape = { dimension: 3, tenants, threshold, minCohort, colluders, maxMagnitude: 2 ** 40 };
    const rules = { ...RULES, protocol, roster, minCohort, threshold, openings, steps: 1000 };
    this.play = new TaskPlay(rules, (present) => this.#keyed().openers(present));
    this.play.present.clear();
    for (const name of roster) this.play.present.add(name);
    this.tenants = new Map(roster.map((name) => [name, new SummedTenant(name, this)]));
    for (const tenant of roster) this.play.hear({ type: 'accept', tenant });
  }

  get asking(): Asking | undefined {
    const { state } = this.play;
    if (state.phase !== 'running' || state.conversation?.phase !== 'asking') return undefined;
    const { conversation: asking, epoch } = state;
    const stages = stagesOf(state, this.play.rules);
    const { stage: index, attempt } = asking;
    return { state, asking, stages, index, epoch, round: roundOf(state), stage: stages[index]!.name, attempt };
  }

  /** What was said there; of what is heard later, nothing but an opening has a second attempt. */
  said({ epoch, round, stage, attempt = 1 }: Omit<Where, 'attempt'> & Partial<Where>): Map<TenantId, Statement> {
    const key = `${epoch}/${round}/${stage}/${attempt}`;
    let found = this.#said.get(key);
    if (found === undefined) {
      found = new Map();
      this.#said.set(key, found);
    }
    return found;
  }

  place({ epoch, round, stage, attempt }: Where, heard: Uint8Array): Place {
    return { transcript: this.transcript(epoch, round), stage, attempt, heard };
  }

  transcript = (epoch: number, round: number): Uint8Array => digest('a round', String(epoch), String(round));

  /** What whoever is asked now is shown of the stage before. */
  shown({ epoch, round, stages, index }: Asking, tenant: TenantId): Relayed[] {
    if (index === 0) return [];
    const said = this.said({ epoch, round, stage: stages[index - 1]!.name });
    return [...said.values()].map((statement) => relayTo(tenant, statement));
  }

  /** A statement arrives. @returns why it was turned away */
  hear(tenant: TenantId, { statement, ...where }: Spoken): string | undefined {
    const refusal = this.#refusal(tenant, where, statement);
    if (refusal !== undefined) return refusal;
    const hash = Buffer.from(sha256(statement.signature)).toString('hex');
    // kept before it is decided on: what follows from the last statement of a stage looks at all of them
    const kept = this.said(where);
    kept.set(tenant, statement);
    const why = this.play.hear({ type: 'say', tenant, hash, ...where });
    if (why !== undefined) kept.delete(tenant);
    return why;
  }

  #refusal(tenant: TenantId, where: Where, statement: Statement): string | undefined {
    const now = this.asking;
    if (now === undefined || now.epoch !== where.epoch || now.round !== where.round) return 'wrong-round';
    if (now.stage !== where.stage || now.attempt !== where.attempt) return 'wrong-stage';
    if (this.said(where).has(tenant)) return 'already-said';
    const place = this.place(now, heardHash(this.shown(now, '')));
    if (!isStatement(this.tenants.get(tenant)!.identity.publicKey, place, statement)) return 'bad-signature';
    return this.#now.protocol.malformed(now.stages[now.index]!, statement);
  }

  /** The coordinator’s side of the epoch under way, from what the tenants said. */
  async ready(): Promise<void> {
    const { state, shape, protocol } = this;
    if (state.phase !== 'running' || state.epoch === 0) return;
    const { epoch, parties: members } = state;
    let side = this.#sides.get(epoch);
    if (side === undefined) {
      const transcript = this.transcript(epoch, 0);
      side = { protocol: await protocol.coordinator({ shape, members, transcript }), keyed: undefined };
      this.#sides.set(epoch, side);
    }
    this.#keyed();
    await side.keyed;
  }

  /** It has taken in the keys, where the epoch has some. Asked at once: the next decision may hang on it. */
  #keyed(): CoordinatorEpoch {
    const last = this.protocol.keying.at(-1);
    const { epoch, keyed } = this.state as Running;
    const side = this.#now;
    if (last !== undefined && keyed)
      side.keyed ??= side.protocol.keyed(this.said({ epoch, round: 0, stage: last.name }));
    return side.protocol;
  }

  get #now() {
    return this.#sides.get((this.state as Running).epoch)!;
  }

  /** The coordinator’s process ends and starts again: what is left are facts, and what was said. */
  async restart(): Promise<void> {
    this.#sides.clear();
    await this.ready();
    this.play.restart();
    await this.ready();
  }

  /** What comes out when these shares are put to what was contributed. @throws ProtocolBroken when nothing does */
  async combined(epoch: number, round: number, shares: ReceivedAll): Promise<number[]> {
    const of = (stage: string) => this.said({ epoch, round, stage });
    const prepared = this.protocol.summing.filter(({ gate }) => gate === 'prepare').map(({ name }) => of(name));
    const record = { transcript: this.transcript(epoch, round), prepared };
    return [...(await this.#sides.get(epoch)!.protocol.open(of(this.stageAt('contribute')), shares, record))];
  }

  /** The one stage of a round with this gate. */
  stageAt(gate: 'contribute' | 'agree' | 'open'): string {
    return this.protocol.summing.find((stage) => stage.gate === gate)?.name ?? 'none';
  }

  /** The facts, with the place each belongs to. */
  *placed(): Iterable<{ fact: TaskFact } & Omit<Where, 'stage'>> {
    let [epoch, round, attempt] = [0, 0, 0];
    for (const fact of this.play.facts) {
      if (fact.type === 'epoch-begun') [epoch, round] = [fact.epoch, 0];
      if (fact.type === 'round-begun') round = fact.round;
      if (fact.type === 'in-round' && fact.fact.type === 'asked') attempt = fact.fact.attempt;
      yield { fact, epoch, round, attempt };
    }
  }

  get state(): TaskPlay['state'] {
    return this.play.state;
  }
}

const roundOf = (state: Running): number => (state.keyed ? state.round : 0);
