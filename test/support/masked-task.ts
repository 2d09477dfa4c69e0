import { createIdentity, type Identity } from '../../aggregation/identity.ts';
import { loadKernels } from '../../aggregation/kernels/load-kernels.ts';
import { latticeCover } from '../../aggregation/lattice-mask/cover.ts';
import { latticeMask } from '../../aggregation/lattice-mask/protocol.ts';
import type { Cover } from '../../aggregation/masking/cover.ts';
import { masking } from '../../aggregation/masking/protocol.ts';
import { tenantEpoch } from '../../aggregation/masking/tenant.ts';
import type {
  CoordinatorEpoch,
  Heard,
  HeardAll,
  SecureSum,
  SumShape,
  TenantId,
  TenantRound,
} from '../../aggregation/secure-sum.ts';
import {
  digest,
  heardHash,
  isRelayed,
  isStatement,
  NOTHING_HEARD,
  type Place,
  type Relayed,
  relayTo,
  type Statement,
  sha256,
  signStatement,
} from '../../aggregation/transcript.ts';
import type { RoundState } from '../../coordinator/round.ts';
import type { Running, TaskFact } from '../../coordinator/task.ts';
import { secureRandom } from '../../privacy/random.ts';
import { ring } from '../aggregation/masking/masked-round.ts';
import { noised, receivedFrom } from '../contracts/secure-sum-driver.ts';
import { RULES, TaskPlay } from './task-play.ts';

/** A protocol of pairwise masks, and what its masks are put on. */
export interface Masked {
  readonly protocol: SecureSum;
  readonly cover: Cover;
}

export const MASKED: readonly Masked[] = [
  { protocol: masking, cover: ring },
  { protocol: latticeMask, cover: latticeCover(await loadKernels(), secureRandom()) },
];

/**
 * A task under pairwise masks: the coordinator's real decisions, the real protocol, every statement signed and checked. Only
 * the wire is missing: what a tenant says arrives when the test says so, or never.
 */
export class MaskedTask {
  readonly shape: SumShape;
  readonly under: Masked;
  readonly play: TaskPlay;
  readonly tenants: ReadonlyMap<TenantId, MaskedTenant>;
  /** what each tenant put into each round it contributed to */
  readonly vectors = new Map<string, number[]>();
  readonly #said = new Map<string, Map<TenantId, Statement>>();
  readonly #sides = new Map<number, CoordinatorEpoch>();

  constructor(roster: readonly TenantId[], minCohort: number, colluders: number, under: Masked) {
    this.under = under;
    const tenants = roster.length;
    const threshold = Math.floor((tenants + colluders) / 2) + 1;
    this.shape = { dimension: 3, tenants, threshold, minCohort, colluders, maxMagnitude: 2 ** 40 };
    const rules = { ...RULES, protocol: under.protocol, roster, minCohort, threshold, openings: 1000, steps: 1000 };
    this.play = new TaskPlay(rules, (present) => (present.length < threshold ? [] : [...present].sort()));
    this.play.present.clear();
    for (const name of roster) this.play.present.add(name);
    this.tenants = new Map(roster.map((name) => [name, new MaskedTenant(name, this)]));
    for (const tenant of roster) this.play.hear({ type: 'accept', tenant });
  }

  get asking(): { state: Running; asking: Extract<RoundState, { phase: 'asking' }>; stage: string } | undefined {
    const { state } = this.play;
    if (state.phase !== 'running' || state.conversation?.phase !== 'asking') return undefined;
    return { state, asking: state.conversation, stage: this.under.protocol.summing[state.conversation.stage]!.name };
  }

  /** What was said in a stage of this round. */
  said(epoch: number, round: number, stage: string): Map<TenantId, Statement> {
    const key = `${epoch}/${round}/${stage}`;
    let found = this.#said.get(key);
    if (found === undefined) {
      found = new Map();
      this.#said.set(key, found);
    }
    return found;
  }

  place(epoch: number, round: number, stage: number, heard: Uint8Array): Place {
    return {
      transcript: this.transcript(epoch, round),
      stage: this.under.protocol.summing[stage]!.name,
      attempt: 1,
      heard,
    };
  }

  transcript = (epoch: number, round: number): Uint8Array => digest('a round', String(epoch), String(round));

  /** What whoever is asked now is shown of the stage before. */
  shown({ epoch, round }: Running, stage: number, tenant: TenantId): Relayed[] {
    if (stage === 0) return [];
    const { name } = this.under.protocol.summing[stage - 1]!;
    return [...this.said(epoch, round, name).values()].map((statement) => relayTo(tenant, statement));
  }

  /** A statement arrives. @returns why it was turned away */
  hear(tenant: TenantId, epoch: number, round: number, stage: string, statement: Statement): string | undefined {
    const refusal = this.#refusal(tenant, epoch, round, stage, statement);
    if (refusal !== undefined) return refusal;
    const hash = Buffer.from(sha256(statement.signature)).toString('hex');
    // kept before it is decided on: what follows from the last statement of a stage looks at all of them
    const kept = this.said(epoch, round, stage);
    const before = kept.get(tenant);
    kept.set(tenant, statement);
    const why = this.play.hear({ type: 'say', tenant, stage, attempt: 1, epoch, round, hash });
    if (why !== undefined && before === undefined) kept.delete(tenant);
    return why;
  }

  #refusal(tenant: TenantId, epoch: number, round: number, stage: string, statement: Statement): string | undefined {
    const { asking: now } = this;
    if (now === undefined || now.state.epoch !== epoch || now.state.round !== round) return 'wrong-round';
    if (now.stage !== stage) return 'wrong-stage';
    if (this.said(epoch, round, stage).has(tenant)) return 'already-said';
    const heard = heardHash(this.shown(now.state, now.asking.stage, ''));
    const place = this.place(epoch, round, now.asking.stage, heard);
    if (!isStatement(this.tenants.get(tenant)!.identity.publicKey, place, statement)) return 'bad-signature';
    return this.#sides.get(epoch)!.malformed(this.under.protocol.summing[now.asking.stage]!, statement);
  }

  /** The coordinator’s side of the epoch under way. */
  async ready(): Promise<void> {
    const { state } = this.play;
    if (state.phase !== 'running' || state.epoch === 0 || this.#sides.has(state.epoch)) return;
    const { shape } = this;
    const transcript = this.transcript(state.epoch, 0);
    this.#sides.set(state.epoch, await this.under.protocol.coordinator({ shape, members: state.parties, transcript }));
  }

  /** Opens a round that the coordinator decided to open. */
  async open(epoch: number, round: number): Promise<number[]> {
    const said = (stage: string) => this.said(epoch, round, stage);
    const record = { transcript: this.transcript(epoch, round), prepared: [said('keys'), said('deal')] };
    return [...(await this.#sides.get(epoch)!.open(said('contribute'), said('reveal'), record))];
  }

  /** The facts, with the round each belongs to. */
  *rounds(): Iterable<{ fact: TaskFact; epoch: number; round: number }> {
    let [epoch, round] = [0, 0];
    for (const fact of this.play.facts) {
      if (fact.type === 'epoch-begun') epoch = fact.epoch;
      if (fact.type === 'round-begun') round = fact.round;
      yield { fact, epoch, round };
    }
  }
}

/** A tenant: it checks every signature it is shown, and answers while it has the round's secrets. */
export class MaskedTenant {
  readonly identity: Identity = createIdentity();
  readonly #task: MaskedTask;
  readonly #name: TenantId;
  #round: { key: string; protocol: TenantRound; heard: Map<number, Uint8Array>; agreed: HeardAll } | undefined;
  /** what it said last, and where */
  last: { epoch: number; round: number; stage: string; statement: Statement } | undefined;

  constructor(name: TenantId, task: MaskedTask) {
    this.#name = name;
    this.#task = task;
  }

  /** Its process ends and starts again: what was in memory is gone. */
  restart(): void {
    this.#round = undefined;
  }

  /** The answer to what it is asked now; undefined when it is asked nothing, `cannot` when its secrets are gone. */
  async answer(): Promise<
    { epoch: number; round: number; stage: string; statement: Statement } | 'cannot' | undefined
  > {
    const now = this.#task.asking;
    if (now === undefined || !now.asking.asked.includes(this.#name) || now.asking.said.has(this.#name))
      return undefined;
    const { epoch, round } = now.state;
    const { stage: index } = now.asking;
    const repeated = this.last;
    if (repeated?.epoch === epoch && repeated.round === round && repeated.stage === now.stage) return repeated;
    if (index === 0) this.#begin(epoch, round, now.state.parties);
    if (this.#round?.key !== `${epoch}/${round}`) return 'cannot';
    const shown = this.#task.shown(now.state, index, this.#name);
    const heard = this.#checked(epoch, round, index, shown);
    const said = await this.#say(index, heard);
    const hash = index === 0 ? NOTHING_HEARD : heardHash(shown);
    this.#round.heard.set(index, hash);
    const signature = signStatement(this.identity, this.#name, this.#task.place(epoch, round, index, hash), said);
    const statement = { ...receivedFrom(said), from: this.#name, signature };
    this.last = { epoch, round, stage: now.stage, statement };
    return this.last;
  }

  #begin(epoch: number, round: number, members: readonly TenantId[]): void {
    const { shape, under } = this.#task;
    const transcript = this.#task.transcript(epoch, 0);
    const side = tenantEpoch(under.cover, { shape, members, me: this.#name, transcript });
    const protocol = side.round(this.#task.transcript(epoch, round));
    this.#round = { key: `${epoch}/${round}`, protocol, heard: new Map(), agreed: new Map() };
  }

  #checked(epoch: number, round: number, index: number, shown: readonly Relayed[]): HeardAll {
    const heard = new Map<TenantId, Heard>();
    for (const one of shown) {
      const place = this.#task.place(epoch, round, index - 1, this.#round!.heard.get(index - 1)!);
      const key = this.#task.tenants.get(one.from)!.identity.publicKey;
      if (!isRelayed(key, place, this.#name, one)) throw new Error(`${one.from} did not say that, here and now`);
      const { open, sealed, vectorHash } = one;
      heard.set(one.from, { open, ...(sealed && { sealed }), ...(vectorHash && { vectorHash }) });
    }
    return heard;
  }

  #say(index: number, heard: HeardAll) {
    const { protocol, key } = this.#round!;
    switch (this.#task.under.protocol.summing[index]!.gate) {
      case 'prepare':
        return protocol.prepare(index, heard);
      case 'contribute': {
        const vector = [0, 1, 2].map(() => Math.floor((Math.random() - 0.5) * 2 ** 36));
        this.#task.vectors.set(`${key}/${this.#name}`, vector);
        return protocol.contribute(noised(vector), heard);
      }
      case 'agree':
        this.#round!.agreed = heard;
        return protocol.agree(heard);
      case 'open':
        return protocol.open(this.#round!.agreed, [...heard.keys()].sort());
    }
  }
}
