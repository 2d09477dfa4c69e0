import { Packr } from 'msgpackr';
import { isStorageError } from '../aggregation/exit.ts';
import {
  chargedEvent,
  hex,
  type Plan,
  planDigest,
  plannedEvent,
  planText,
  rosterHash,
  roundsOf,
  shapeOf,
  taskId,
  unitOf,
} from '../aggregation/plan.ts';
import { begin, type Progress, progressHash, released, takeIn } from '../aggregation/progress.ts';
import { protocolNamed } from '../aggregation/protocols.ts';
import {
  type CoordinatorEpoch,
  type HeardAll,
  ProtocolBroken,
  type SecureSum,
  type Stage,
  type TenantId,
} from '../aggregation/secure-sum.ts';
import {
  heardHash,
  isStatement,
  type Occasion,
  type Place,
  relayTo,
  type Statement,
  sha256,
  transcriptOf,
} from '../aggregation/transcript.ts';
import { type FromClient, type FromCoordinator, vectorBytes, vectorFrom } from '../aggregation/wire.ts';
import type { LedgerBody } from '../privacy/ledger.ts';
import type { BodyPlace, EventStore } from './event-store.ts';
import type { LedgerLog } from './ledger-log.ts';
import { type Move, nextMove } from './next-move.ts';
import {
  advance,
  decide,
  inRound,
  type Running,
  replay,
  type StopReason,
  stagesOf,
  type TaskFact,
  type TaskRules,
  type TaskState,
} from './task.ts';

/**
 * Runs one task: messages in, facts to the store, effects out.
 *
 *   message ──decide──▶ facts ──commit──▶ advance ──nextMove──▶ move ──▶ facts … until nothing is left to do
 *
 * One message at a time. Everything a fact promises is on disk before anyone is told; after a restart the
 * same facts give the same state, and `nextMove` goes on from there.
 */
export interface World {
  readonly store: EventStore;
  readonly ledger: LedgerLog;
  /** Unix milliseconds */
  readonly clock: () => number;
  /** tenants with a live connection */
  present(): ReadonlySet<TenantId>;
  /** Sends to a tenant if it is connected, with the ledger entries it has not seen. */
  send(tenant: TenantId, message: Unsent): void;
  /** Told after every change that someone may want to show. */
  changed(task: string): void;
  /** Something is broken that no retry mends; the task has been stopped. Names no secret. */
  failed(task: string, error: unknown): void;
}

/** A message to a tenant, before the ledger news for that tenant are put in. */
export type Unsent = FromCoordinator extends infer M ? (M extends { ledger: unknown } ? Omit<M, 'ledger'> : M) : never;

type Said = Extract<FromClient, { type: 'say' }>;

const packr = new Packr({ useRecords: false, moreTypes: false });

export class Conductor {
  readonly id: string;
  readonly plan: Plan;
  readonly signature: Uint8Array;
  readonly #world: World;
  readonly #rules: TaskRules;
  readonly #protocol: SecureSum;
  readonly #keys: ReadonlyMap<TenantId, Uint8Array>;
  /** bytes tenants have said so far, in this process */
  bytesUp = 0;
  /** contributions in the last sum that was opened */
  lastContributions = 0;
  #state: TaskState;
  #progress: Progress;
  #epoch: CoordinatorEpoch | undefined;
  /** bodies of the conversation under way, by stage and attempt; a cache of the store */
  #said = new Map<string, Map<TenantId, Statement>>();
  /** what the stage being asked has heard; the same for all who are asked */
  #heardHash: { key: string; hash: Uint8Array } | undefined;
  #queue: Promise<void> = Promise.resolve();
  /** who accepted over the connection it has now, and so was sent what it had missed; nobody else is asked anything */
  readonly #caughtUp = new Set<TenantId>();

  /** Takes up a task from the store; for a new one, its `proposed` fact is already there. */
  constructor(plan: Plan, signature: Uint8Array, world: World) {
    this.plan = plan;
    this.signature = signature;
    this.id = taskId(plan);
    this.#world = world;
    this.#protocol = protocolNamed(plan.settings.secureSum.protocol);
    this.#rules = rulesOf(plan, this.#protocol);
    this.#keys = new Map(plan.roster.map(({ tenant, key }) => [tenant, Buffer.from(key, 'hex')]));
    const facts = world.store.facts(this.id);
    this.#state = replay(facts, this.#rules);
    this.#progress = this.#takeUp(facts);
  }

  get state(): TaskState {
    return this.#state;
  }

  get progress(): Progress {
    return this.#progress;
  }

  get isOver(): boolean {
    return this.#state.phase === 'finished' || this.#state.phase === 'stopped';
  }

  /** @returns when everything that followed from the message is done */
  receive(
    tenant: TenantId,
    message: Extract<FromClient, { type: 'accept' | 'decline' | 'say' | 'cannot' }>,
  ): Promise<void> {
    return this.#enqueue(async () => {
      if (message.type === 'accept' && this.#state.phase === 'finished') return this.#tellEnd(tenant, message.round);
      if (message.type === 'say') this.#hear(tenant, message);
      else this.#apply(tenant, message.type, decide(this.#state, { ...message, tenant }, this.#rules));
      if (message.type === 'accept') this.#catchUp(tenant, message.round);
      if (message.type === 'decline') this.#caughtUp.delete(tenant);
      await this.#proceed();
    });
  }

  tick(): Promise<void> {
    return this.#enqueue(async () => {
      const facts = decide(
        this.#state,
        { type: 'tick', at: this.#world.clock(), present: this.#present() },
        this.#rules,
      );
      const stopped = typeof facts === 'string' ? undefined : facts.find(({ type }) => type === 'stopped');
      if (stopped?.type === 'stopped') return this.#stop(stopped.reason);
      if (typeof facts !== 'string' && facts.length > 0) this.#commit(facts);
      await this.#proceed();
    });
  }

  stop(reason: StopReason): Promise<void> {
    return this.#enqueue(async () => this.#stop(reason));
  }

  /** What a tenant that connects needs to take part: the plan, and what it starts from. */
  propose(tenant: TenantId): void {
    this.#caughtUp.delete(tenant);
    if (!this.isOver && this.#keys.has(tenant)) this.#sendPlan(tenant);
  }

  /** For a tenant that was away when the task ended: without this it would wait for its model for ever. */
  recall(tenant: TenantId): void {
    const state = this.#state;
    if (state.phase === 'stopped' && this.#keys.has(tenant)) this.#endFor([tenant], 'stopped', state.reason);
    if (state.phase === 'finished' && state.accepted.includes(tenant)) this.#sendPlan(tenant);
  }

  /** It accepts again, which says what it has taken in; the rest follows, and the end. */
  #tellEnd(tenant: TenantId, round: number): void {
    if (this.#state.phase !== 'finished' || !this.#state.accepted.includes(tenant)) return;
    for (const sum of this.#world.store.sums(this.id, round)) this.#sendOpened(tenant, sum);
    this.#endFor([tenant], 'finished', '');
  }

  #sendPlan(tenant: TenantId): void {
    const { store, send } = this.#world;
    const start = this.plan.settings.work.kind === 'evaluate' ? this.plan.settings.work.parameters : this.#startHash();
    send(tenant, {
      type: 'plan',
      plan: planText(this.plan),
      signature: this.signature,
      parameters: store.parameters(start)!,
    });
  }

  #startHash(): string {
    const proposed = this.#world.store.facts(this.id)[0];
    if (proposed?.type !== 'proposed') throw new Error(`event store damaged: task ${this.id} was never proposed`);
    return proposed.model;
  }

  #takeUp(facts: readonly TaskFact[]): Progress {
    const proposed = facts[0];
    if (proposed?.type !== 'proposed') throw new Error(`event store damaged: task ${this.id} was never proposed`);
    const start = this.#world.store.parameters(proposed.model);
    if (start === undefined) throw new Error(`event store damaged: start parameters of task ${this.id} are missing`);
    let progress = begin(vectorFrom(start, start.length / 8));
    for (const { sum, contributions } of this.#world.store.sums(this.id, 0)) {
      this.lastContributions = contributions;
      progress = takeIn(this.plan, progress, vectorFrom(sum, this.plan.derived.dimension));
    }
    return progress;
  }

  // ---- one message at a time

  #enqueue(work: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(work).catch((error: unknown) => this.#broken(error));
    this.#queue = done;
    return done;
  }

  #broken(error: unknown): void {
    this.#world.failed(this.id, error);
    // a full disk stops the process, not the task: after a restart it goes on from what is stored
    if (isStorageError(error)) return;
    try {
      if (!this.isOver) this.#stop('coordinator-error');
    } catch (second) {
      this.#world.failed(this.id, second);
    }
  }

  #apply(tenant: TenantId, about: string, facts: readonly TaskFact[] | string): void {
    if (typeof facts === 'string') this.#world.send(tenant, { type: 'refused', about, reason: facts });
    else if (facts.length > 0) this.#commit(facts);
  }

  /** Facts, and what belongs to them, in one transaction; then, and only then, the state moves. */
  #commit(facts: readonly TaskFact[], more: { entries?: readonly LedgerBody[]; also?: () => void } = {}): void {
    const { store, ledger, clock } = this.#world;
    const next = facts.reduce((state, fact) => advance(state, fact, this.#rules), this.#state);
    try {
      store.commit(() => {
        for (const fact of facts) store.addFact(this.id, fact);
        for (const entry of [...(more.entries ?? []), ...this.#aborts(facts)]) ledger.append(entry, this.id, clock());
        more.also?.();
      });
    } catch (error) {
      ledger.reload();
      throw error;
    }
    this.#state = next;
    this.#world.changed(this.id);
  }

  /** An abandoned round is in the ledger too: nothing was opened, or the charge stands without a release. */
  #aborts(facts: readonly TaskFact[]): LedgerBody[] {
    const state = this.#state;
    if (state.phase !== 'running' || !state.keyed) return [];
    return facts.flatMap((fact) =>
      fact.type === 'in-round' && fact.fact.type === 'abandoned'
        ? [{ kind: 'abort', round: state.round, reason: fact.fact.reason }]
        : [],
    );
  }

  // ---- hearing

  #hear(tenant: TenantId, message: Said): void {
    this.#apply(tenant, message.stage, this.#accepts(tenant, message) ?? this.#keep(tenant, message));
  }

  /** The body is on disk with the fact that it was said. */
  #keep(tenant: TenantId, message: Said): readonly TaskFact[] | string {
    const { open, signature } = message;
    const body = packr.pack({ from: tenant, open, sealed: message.sealed, signature });
    this.bytesUp += body.length;
    const facts = decide(this.#state, { ...message, tenant, hash: hex(sha256(body)) }, this.#rules);
    if (typeof facts === 'string') return facts;
    const place = this.#bodyPlace(message.stage, message.attempt);
    this.#commit(facts, { also: () => this.#world.store.putBody(this.id, place, tenant, body) });
    this.#statements(place).set(tenant, { from: tenant, open, sealed: new Map(message.sealed), signature });
    return [];
  }

  /** Everything about a statement that does not depend on who else has spoken. @returns why not */
  #accepts(tenant: TenantId, message: Said): string | undefined {
    const state = this.#state;
    const key = this.#keys.get(tenant);
    if (key === undefined) return 'unknown-tenant';
    if (state.phase !== 'running' || state.conversation?.phase !== 'asking') return 'round-over';
    if (message.epoch !== state.epoch || message.round !== roundNumber(state)) return 'wrong-round';
    const { stage, attempt } = state.conversation;
    const current = stagesOf(state, this.#rules)[stage]!;
    if (message.stage !== current.name || message.attempt !== attempt) return 'wrong-stage';
    const statement: Statement = {
      from: tenant,
      open: message.open,
      sealed: new Map(message.sealed),
      signature: message.signature,
    };
    if (!isStatement(key, this.#place(state, stage, attempt), statement)) return 'bad-signature';
    return this.#epochOf(state).malformed(current, statement);
  }

  #statements(place: BodyPlace): Map<TenantId, Statement> {
    const key = `${place.epoch}/${place.round}/${place.stage}/${place.attempt}`;
    let found = this.#said.get(key);
    if (found === undefined) {
      found = new Map();
      for (const [tenant, body] of this.#world.store.bodies(this.id, place)) {
        const { from, open, sealed, signature } = packr.unpack(body);
        found.set(tenant, { from, open, sealed: new Map(sealed), signature });
      }
      this.#said.set(key, found);
    }
    return found;
  }

  #bodyPlace(stage: string, attempt: number): BodyPlace {
    const state = this.#running();
    return { epoch: state.epoch, round: roundNumber(state), stage, attempt };
  }

  /** Statements of the stage before `stage`, of those who are asked next. */
  #heardBefore(state: Running, stage: number): Statement[] {
    if (stage === 0) return [];
    const before = stagesOf(state, this.#rules)[stage - 1]!;
    // only an opening stage has attempts, and nothing follows it
    return [...this.#statements(this.#bodyPlace(before.name, 1)).values()];
  }

  #place(state: Running, stage: number, attempt: number): Place {
    const key = `${state.epoch}/${roundNumber(state)}/${stage}`;
    if (this.#heardHash?.key !== key) {
      const relayed = this.#heardBefore(state, stage).map((statement) => relayTo('', statement));
      this.#heardHash = { key, hash: heardHash(relayed) };
    }
    return {
      transcript: transcriptOf(this.#occasion(state)),
      stage: stagesOf(state, this.#rules)[stage]!.name,
      attempt,
      heard: this.#heardHash.hash,
    };
  }

  #occasion(state: Running): Occasion {
    const { federation, roster } = this.plan;
    const model = state.keyed ? state.model : '';
    return {
      federation,
      roster: rosterHash(roster),
      task: this.id,
      epoch: state.epoch,
      round: roundNumber(state),
      model,
      ledger: (state.keyed ? state.roundHead : state.epochHead).hash,
    };
  }

  // ---- moving on

  async #proceed(): Promise<void> {
    for (;;) {
      const move = nextMove(this.#state, this.#rules, this.#present(), this.#openers);
      if (move === undefined) return;
      await this.#make(move);
    }
  }

  #present(): ReadonlySet<TenantId> {
    return new Set([...this.#world.present()].filter((tenant) => this.#caughtUp.has(tenant)));
  }

  readonly #openers = (present: readonly TenantId[]): readonly TenantId[] =>
    this.#epochOf(this.#running()).openers(present);

  async #make(move: Move): Promise<void> {
    switch (move.type) {
      case 'stop':
        return this.#stop(move.reason);
      case 'finish':
        return this.#finish();
      case 'wait':
        return this.#commit([{ type: 'waiting', at: this.#world.clock() }]);
      case 'begin-epoch':
        return this.#beginEpoch(move.members);
      case 'begin-round':
        return this.#commit([
          {
            type: 'round-begun',
            round: this.#running().round + 1,
            present: move.present,
            head: this.#world.ledger.head,
          },
        ]);
      case 'ask':
        return this.#ask(move);
      case 'abandon':
        return this.#commit([inRound({ type: 'abandoned', reason: move.reason })]);
      case 'conclude-keying':
        return this.#guarded(() => this.#concludeKeying(move.stage));
      case 'charge':
        return this.#guarded(() => this.#charge(move.stage));
      case 'open':
        return this.#guarded(() => this.#open(move.contribute, move.share));
    }
  }

  /** What tenants said may not hold together; that ends the conversation, not the coordinator. */
  async #guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof ProtocolBroken)) throw error;
      const charged = this.#running().conversation?.charge !== undefined;
      this.#commit([inRound({ type: 'abandoned', reason: charged ? 'does-not-open' : 'protocol-broken' })]);
    }
  }

  async #beginEpoch(members: readonly TenantId[]): Promise<void> {
    this.#epoch?.forget();
    this.#epoch = undefined;
    this.#commit([{ type: 'epoch-begun', epoch: this.#running().epoch + 1, members, head: this.#world.ledger.head }]);
    await this.#openEpoch();
  }

  async #openEpoch(): Promise<void> {
    const state = this.#running();
    const transcript = transcriptOf(this.#occasion({ ...state, keyed: false }));
    this.#epoch = await this.#protocol.coordinator({ shape: shapeOf(this.plan), members: state.parties, transcript });
  }

  /** The coordinator's side of the epoch; after a restart it is built again from what the tenants said. */
  #epochOf(state: Running): CoordinatorEpoch {
    if (this.#epoch === undefined) throw new ProtocolBroken(`epoch ${state.epoch} is not open at the coordinator`);
    return this.#epoch;
  }

  /** After a restart: the coordinator's side of the epoch under way, from what was said before. */
  resume(): Promise<void> {
    return this.#enqueue(async () => {
      if (this.#state.phase === 'running' && this.#state.epoch > 0) {
        await this.#openEpoch();
        if (this.#state.keyed && this.#protocol.keying.length > 0)
          await this.#epochOf(this.#state).keyed(this.#keyingHeard(this.#state));
      }
      if (!this.isOver) this.#commit([{ type: 'resumed', at: this.#world.clock() }]);
      await this.#proceed();
    });
  }

  #keyingHeard(state: Running): HeardAll {
    const last = this.#protocol.keying.at(-1)!;
    return heard(this.#statements({ epoch: state.epoch, round: 0, stage: last.name, attempt: 1 }));
  }

  #ask({ stage, attempt, tenants, openers, patient }: Extract<Move, { type: 'ask' }>): void {
    this.#commit([inRound({ type: 'asked', stage, attempt, asked: tenants, at: this.#world.clock(), patient })]);
    const state = this.#running();
    for (const tenant of tenants) this.#sendAsk(state, tenant, stage, attempt, openers);
  }

  #sendAsk(state: Running, tenant: TenantId, stage: number, attempt: number, openers: readonly TenantId[]): void {
    this.#world.send(tenant, {
      type: 'ask',
      task: this.id,
      epoch: state.epoch,
      round: roundNumber(state),
      stage: stagesOf(state, this.#rules)[stage]!.name,
      attempt,
      model: state.keyed ? state.model : '',
      head: state.keyed ? state.roundHead : state.epochHead,
      members: [...state.members],
      openers: [...openers],
      heard: this.#heardBefore(state, stage).map((statement) => relayTo(tenant, statement)),
    });
  }

  async #concludeKeying(stage: Stage): Promise<void> {
    const place = this.#bodyPlace(stage.name, 1);
    await this.#epochOf(this.#running()).keyed(heard(this.#statements(place)));
    this.#commit([inRound({ type: 'concluded' })]);
    for (const tenant of this.#running().members) if (this.#caughtUp.has(tenant)) this.#sendKeyed(tenant);
  }

  #sendKeyed(tenant: TenantId): void {
    const state = this.#running();
    const last = this.#protocol.keying.at(-1);
    if (last === undefined || !state.keyed) return;
    const said = this.#statements({ epoch: state.epoch, round: 0, stage: last.name, attempt: 1 });
    const heard = [...said.values()].map((statement) => relayTo(tenant, statement));
    this.#world.send(tenant, { type: 'keyed', task: this.id, epoch: state.epoch, heard });
  }

  /** The charge is in the ledger before anyone is asked to open, and before the coordinator opens anything itself. */
  async #charge(stage: Stage): Promise<void> {
    const contributions = heard(this.#statements(this.#bodyPlace(stage.name, 1)));
    const sumHash = hex(await this.#epochOf(this.#running()).sumHash(contributions));
    const { round } = this.#running();
    this.#commit([inRound({ type: 'charged', sumHash })], {
      entries: [{ kind: 'charge', round, event: chargedEvent(this.plan), sumHash, contributions: contributions.size }],
    });
  }

  async #open(contribute: Stage, share: { stage: Stage; attempt: number } | undefined): Promise<void> {
    const contributions = heard(this.#statements(this.#bodyPlace(contribute.name, 1)));
    const shares =
      share === undefined ? new Map() : heard(this.#statements(this.#bodyPlace(share.stage.name, share.attempt)));
    const state = this.#running();
    const sum = await this.#epochOf(state).open(contributions, shares);
    const progress = takeIn(this.plan, this.#progress, sum);
    const model = progressHash(this.plan, progress, this.#rules.steps);
    const { sumHash } = state.conversation!.charge!;
    const { round } = state;
    const parameters = progress.steps === this.#rules.steps ? released(this.plan, progress) : progress.parameters;
    this.#commit([inRound({ type: 'concluded' }), { type: 'opened', sumHash, model }], {
      entries: [{ kind: 'release', round, modelHash: model, sumHash }],
      also: () => {
        this.#world.store.putSum(this.id, { round, sum: vectorBytes(sum), contributions: contributions.size, model });
        this.#world.store.putParameters(model, vectorBytes(parameters));
        this.#world.store.eraseRounds(this.id, round);
      },
    });
    this.#said.clear();
    this.#progress = progress;
    this.lastContributions = contributions.size;
    // who has not caught up since it connected gets this one with the others it missed
    for (const tenant of this.#running().accepted)
      if (this.#caughtUp.has(tenant))
        this.#sendOpened(tenant, { round, sum: vectorBytes(sum), contributions: contributions.size, model });
  }

  #sendOpened(
    tenant: TenantId,
    { round, sum, contributions, model }: { round: number; sum: Uint8Array; contributions: number; model: string },
  ): void {
    this.#world.send(tenant, { type: 'opened', task: this.id, round, sum, contributions, model });
  }

  /** A tenant that was away takes in what was opened meanwhile, and is asked again what it may have missed. */
  #catchUp(tenant: TenantId, round: number): void {
    const state = this.#state;
    if (!('accepted' in state) || !state.accepted.includes(tenant)) return;
    if (this.#caughtUp.has(tenant)) return; // once per connection
    this.#caughtUp.add(tenant);
    if (state.phase !== 'running') return;
    for (const sum of this.#world.store.sums(this.id, round)) this.#sendOpened(tenant, sum);
    this.#sendKeyed(tenant); // between rounds too: the next one asks only whom it finds with keys
    if (state.conversation?.phase !== 'asking') return;
    const { asked, said, stage, attempt } = state.conversation;
    if (!asked.includes(tenant) || said.has(tenant)) return;
    const opens = stagesOf(state, this.#rules)[stage]!.gate === 'open';
    this.#sendAsk(state, tenant, stage, attempt, opens ? asked : []);
  }

  #finish(): void {
    const { round, model, accepted } = this.#running();
    this.#commit([{ type: 'finished' }], {
      entries: [{ kind: 'finish', rounds: round, modelHash: model }],
      also: () => this.#world.store.eraseTask(this.id),
    });
    this.#endFor(accepted, 'finished', '');
  }

  #stop(reason: StopReason): void {
    if (this.isOver) return;
    this.#commit([{ type: 'stopped', reason }], {
      entries: [{ kind: 'stop', reason }],
      also: () => this.#world.store.eraseTask(this.id),
    });
    this.#endFor(
      this.plan.roster.map(({ tenant }) => tenant),
      'stopped',
      reason,
    );
  }

  #endFor(tenants: readonly TenantId[], outcome: 'finished' | 'stopped', reason: string): void {
    this.#epoch?.forget();
    this.#epoch = undefined;
    this.#said.clear();
    for (const tenant of tenants) this.#world.send(tenant, { type: 'over', task: this.id, outcome, reason });
  }

  #running(): Running {
    if (this.#state.phase !== 'running') throw new Error(`task ${this.id} is ${this.#state.phase}, not running`);
    return this.#state;
  }
}

/** While keys are made the round is 0. */
const roundNumber = (state: Running): number => (state.keyed ? state.round : 0);

const heard = (statements: ReadonlyMap<TenantId, Statement>): HeardAll =>
  new Map([...statements].sort(([a], [b]) => (a < b ? -1 : 1)).map(([tenant, { open }]) => [tenant, { open }]));

export function rulesOf(plan: Plan, protocol: SecureSum): TaskRules {
  const { secureSum, timing } = plan.settings;
  return {
    protocol,
    roster: plan.roster.map(({ tenant }) => tenant),
    minCohort: secureSum.minCohort,
    openings: plan.derived.openings,
    steps: roundsOf(plan),
    ...timing,
  };
}

/** A new task: the plan signed, its start parameters stored, its plan entry in the ledger, all in one transaction. */
export function recordProposal(
  plan: Plan,
  sign: (digest: Uint8Array) => Uint8Array,
  start: Float64Array,
  world: World,
): Uint8Array {
  const text = planText(plan);
  const signature = sign(planDigest(text));
  const id = taskId(plan);
  const model = progressHash(plan, begin(start), roundsOf(plan));
  const { privacy } = plan.settings;
  const entry: LedgerBody = {
    kind: 'plan',
    planHash: id,
    event: plannedEvent(plan),
    delta: privacy.delta,
    epsilon: plan.derived.epsilon,
    unit: unitOf(plan.settings),
    neighbouring: privacy.neighbouring,
  };
  const { store, ledger, clock } = world;
  try {
    store.commit(() => {
      store.addTask({ id, plan: text, signature });
      store.putParameters(model, vectorBytes(start));
      store.addFact(id, { type: 'proposed', at: clock(), model });
      ledger.append(entry, id, clock());
    });
  } catch (error) {
    ledger.reload();
    throw error;
  }
  return signature;
}
