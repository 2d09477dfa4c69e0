import { setImmediate } from 'node:timers/promises';
import { isStorageError } from '../aggregation/exit.ts';
import { chargedEvent, hex, type Plan, poolOf, shapeOf, taskId } from '../aggregation/plan.ts';
import { begin, type Progress, progressHash, released, takeIn } from '../aggregation/progress.ts';
import { protocolNamed } from '../aggregation/protocols.ts';
import {
  type CoordinatorEpoch,
  ProtocolBroken,
  type ReceivedAll,
  type SecureSum,
  type Stage,
  type TenantId,
} from '../aggregation/secure-sum.ts';
import { epochOccasion, type Statement, transcriptOf } from '../aggregation/transcript.ts';
import { type FromClient, vectorBytes, vectorFrom } from '../aggregation/wire.ts';
import { type LedgerBody, positionOf } from '../privacy/ledger.ts';
import { type Counted, isSpent } from './counting.ts';
import { bodyOf, Hearing, placeOf, roundNumber, type Say, sorted, statementOf } from './hearing.ts';
import { type Move, nextMove } from './next-move.ts';
import { StoreDamaged } from './store/store-damaged.ts';
import {
  advance,
  decide,
  inRound,
  type Proposed,
  type Running,
  type StopReason,
  stagesOf,
  type TaskFact,
  type TaskRules,
  type TaskState,
} from './task.ts';
import { bytesIn, proposalIn, replayed, rulesOf } from './task-facts.ts';
import { Telling } from './telling.ts';
import { storedVector, Uploads } from './uploads.ts';
import { type Waiting, waitingOf } from './waiting.ts';
import type { World } from './world.ts';

/** Tenants that are asked before anybody else has a turn. */
const AT_ONCE = 8;

/**
 * Runs one task: messages in, facts to the store, effects out.
 *
 *   message ──decide──▶ facts ──commit──▶ advance ──nextMove──▶ move ──▶ facts … until nothing is left to do
 *
 * One message at a time. Everything a fact promises is on disk before anyone is told; after a restart the
 * same facts give the same state, and `nextMove` goes on from there.
 */
export class Conductor {
  readonly id: string;
  readonly plan: Plan;
  readonly signature: Uint8Array;
  readonly #world: World;
  readonly #rules: TaskRules;
  readonly #protocol: SecureSum;
  readonly #hearing: Hearing;
  readonly #uploads: Uploads;
  /** bytes tenants have said in this task so far, by its facts */
  bytesUp: number;
  /** contributions in the last sum that was opened */
  lastContributions = 0;
  /** number of the plan's ledger entry */
  readonly #entry: number;
  #state: TaskState;
  #progress: Progress;
  #epoch: CoordinatorEpoch | undefined;
  #queue: Promise<void> = Promise.resolve();
  readonly #telling: Telling;
  /** after a restart: those that take part and have not come back yet */
  readonly #awaited = new Set<TenantId>();
  #isParked = false;

  /** Takes up a task from the store; for a new one, its `proposed` fact is already there. */
  constructor(plan: Plan, signature: Uint8Array, world: World) {
    this.plan = plan;
    this.signature = signature;
    this.id = taskId(plan);
    this.#world = world;
    this.#protocol = protocolNamed(plan.settings.secureSum.protocol);
    this.#rules = rulesOf(plan, this.#protocol);
    this.#hearing = new Hearing(plan, this.#rules, world.store);
    this.#uploads = new Uploads(world.store, this.id);
    this.#telling = new Telling(plan, this.#rules, this.#hearing, this.#uploads, world);
    const { facts, state } = replayed(world.store, this.#rules, this.id);
    this.#state = state;
    this.bytesUp = bytesIn(facts);
    this.#progress = this.#takeUp(facts);
    this.#entry = proposalIn(facts, this.id).entry;
    if (this.#entry >= world.ledger.head.size)
      throw new StoreDamaged(`the ledger ends before the plan of task ${this.id}`); // half of a copy: it would be begun anew
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

  /** Of the conversation under way: keying, or summing; none before and after. */
  get stages(): readonly Stage[] {
    return this.#state.phase === 'running' ? stagesOf(this.#state, this.#rules) : [];
  }

  /** Is this tenant in the plan, with this key? */
  lists(tenant: TenantId, key: Uint8Array): boolean {
    return this.plan.roster.some((one) => one.tenant === tenant && one.key === hex(key));
  }

  /** Where the plan's tenants stand with the pool that pays; those that have stated it. */
  get budgets(): ReadonlyMap<TenantId, Counted> {
    const pool = poolOf(this.plan);
    return new Map(
      this.plan.roster.flatMap(({ tenant }) => {
        const counted = this.#world.counted(tenant, pool);
        return counted === undefined ? [] : [[tenant, counted] as const];
      }),
    );
  }

  /** What it waits for now, whom, and until when. */
  get waiting(): Waiting | undefined {
    return waitingOf(this.#state, this.#rules, this.#present(), this.#world.clock());
  }

  /** Nothing is left to do but to be witnessed. */
  get isComplete(): boolean {
    return this.#state.phase === 'running' && this.#state.end !== undefined;
  }

  /** @returns when everything that followed from the message is done */
  receive(
    tenant: TenantId,
    message: Extract<FromClient, { type: 'accept' | 'decline' | 'part' | 'say' | 'cannot' }>,
  ): Promise<void> {
    const connection = this.#telling.connectionOf(tenant); // of now: when its turn comes it may be another
    return this.#enqueue(async () => {
      if (message.type === 'part') return this.#takePart(tenant, message);
      if (message.type === 'accept' && this.#state.phase === 'finished')
        return this.#catchUp(tenant, connection, message.round);
      if (message.type === 'say') this.#hear(tenant, message);
      else if (message.type === 'accept') this.#accept(tenant, message);
      else this.#apply(tenant, message.type, decide(this.#state, { ...message, tenant }, this.#rules));
      if (message.type === 'accept') this.#catchUp(tenant, connection, message.round);
      if (message.type === 'decline') this.#telling.forget(tenant);
      await this.#proceed();
    });
  }

  /** Does this task wait for tenants to cosign the ledger? */
  get needsWitness(): boolean {
    const state = this.#state;
    return (state.phase === 'proposed' && !state.witnessed) || (state.phase === 'running' && state.end !== undefined);
  }

  /** More tenants have cosigned the ledger. */
  cosigned(): Promise<void> {
    return this.#enqueue(async () => {
      if (!this.needsWitness) return;
      const note = this.#witnessedNote();
      if (note === undefined) return;
      const facts = decide(this.#state, { type: 'witnessed' }, this.#rules);
      if (typeof facts === 'string' || facts.length === 0) return;
      const { accepted } = this.#state as Proposed | Running;
      this.#commit(facts);
      for (const tenant of this.#telling.caughtUp) this.#telling.witnessed(tenant, note);
      // who has not caught up yet is told when it accepts again
      if (this.#state.phase === 'finished')
        this.#endFor(
          accepted.filter((tenant) => this.#telling.caughtUp.has(tenant)),
          'finished',
          '',
        );
      await this.#proceed();
    });
  }

  /** The newest note a tenant needs: over the end when there is one, else over the plan. */
  #witnessedNote(): string | undefined {
    const state = this.#state;
    const end = state.phase === 'running' ? state.end : state.phase === 'finished' ? state.end : undefined;
    return this.#world.witnessed(end ?? this.#entry, this.plan);
  }

  tick(): Promise<void> {
    return this.#enqueue(async () => {
      const facts = decide(
        this.#state,
        { type: 'tick', at: this.#world.clock(), present: this.#world.presentWithin(this.#rules.graceMs) },
        this.#rules,
      );
      const stopped = typeof facts === 'string' ? undefined : facts.find(({ type }) => type === 'stopped');
      if (stopped?.type === 'stopped') return this.#stop(stopped.reason);
      if (typeof facts !== 'string' && facts.length > 0) this.#commit(facts);
      await this.#proceed();
    });
  }

  /** Erases a little of what rounds that are over have left on disk. Call as often as `tick`, when the task is over too. */
  sweep(): Promise<void> {
    return this.#enqueue(async () => {
      const state = this.#state;
      if (state.phase === 'running')
        this.#uploads.sweep(state.conversation === undefined ? state.round : state.round - 1);
      else if (this.isOver) this.#uploads.sweep(Number.MAX_SAFE_INTEGER);
    });
  }

  /**
   * Takes nothing in any more. Resolves when everything taken in before has had its effect, on disk: a sum all of whose shares
   * are here is open then. A task that is taken up again goes on from there.
   */
  park(): Promise<void> {
    this.#isParked = true;
    return this.#queue;
  }

  stop(reason: StopReason): Promise<void> {
    return this.#enqueue(async () => this.#stop(reason));
  }

  /** A tenant has another key than the plan's now, or none: the task goes on without it, or stops by its minimum. */
  withdraw(tenant: TenantId, reason: string): Promise<void> {
    return this.#enqueue(async () => {
      this.#telling.forget(tenant);
      const facts = decide(this.#state, { type: 'decline', tenant, cause: 'roster', reason }, this.#rules);
      if (typeof facts !== 'string') this.#commit(facts); // over, or answered so before: nothing is left to withdraw
      await this.#proceed();
    });
  }

  /** What a tenant that connects needs to take part: the plan, and what it starts from. */
  propose(tenant: TenantId): void {
    this.#telling.forget(tenant);
    if (!this.isOver && this.#hearing.knows(tenant)) this.#telling.plan(tenant, this.signature);
  }

  /** For a tenant that was away when the task ended: without this it would wait for its model for ever. */
  recall(tenant: TenantId): void {
    const state = this.#state;
    if (state.phase === 'stopped' && this.#hearing.knows(tenant)) this.#endFor([tenant], 'stopped', state.reason);
    if (state.phase === 'finished' && state.accepted.includes(tenant)) this.#telling.plan(tenant, this.signature);
  }

  #takeUp(facts: readonly TaskFact[]): Progress {
    const start = this.#world.store.parameters(proposalIn(facts, this.id).model);
    if (start === undefined) throw new StoreDamaged(`start parameters of task ${this.id} are missing`);
    let progress = begin(vectorFrom(start, start.length / 8));
    for (const { sum, contributions } of this.#world.store.sums(this.id, 0)) {
      this.lastContributions = contributions;
      progress = takeIn(this.plan, progress, vectorFrom(sum, this.plan.derived.dimension));
    }
    const opened = facts.filter(({ type }) => type === 'opened');
    const last = opened.at(-1) as { readonly model: string } | undefined;
    const isIt = last === undefined || progressHash(this.plan, progress, this.#rules.steps) === last.model;
    if (progress.steps !== opened.length || !isIt)
      throw new StoreDamaged(`the sums of task ${this.id} do not give the model that its facts name`);
    return progress;
  }

  /** The first time it is in the ledger, with the tenant's signature. */
  #accept(tenant: TenantId, { dataset, signature }: Extract<FromClient, { type: 'accept' }>): void {
    const facts = decide(this.#state, { type: 'accept', tenant }, this.#rules);
    if (typeof facts === 'string') return this.#apply(tenant, 'accept', facts);
    const entries: LedgerBody[] = facts.some(({ type }) => type === 'accepted')
      ? [{ kind: 'accept', tenant, dataset, signature: hex(signature) }]
      : [];
    if (facts.length > 0) this.#commit(facts, { entries });
  }

  // ---- one message at a time

  #enqueue(work: () => Promise<void>): Promise<void> {
    if (this.#isParked) return this.#queue;
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
    if (typeof facts === 'string') this.#telling.refused(tenant, about, facts);
    else if (facts.length > 0) this.#commit(facts);
  }

  /** Facts, and what belongs to them, in one transaction; then, and only then, the state moves. */
  #commit(facts: readonly TaskFact[], more: { entries?: readonly LedgerBody[]; also?: () => void } = {}): void {
    const { store, ledger, clock } = this.#world;
    const next = facts.reduce((state, fact) => advance(state, fact, this.#rules), this.#state);
    ledger.commit(() => {
      for (const fact of facts) store.addFact(this.id, fact);
      for (const entry of [...(more.entries ?? []), ...this.#aborts(facts)]) ledger.append(entry, this.id, clock());
      more.also?.();
    });
    this.#state = next;
    this.bytesUp += bytesIn(facts);
    this.#world.changed(this.id, facts);
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

  /** A part of a vector from who is asked for it now; of anything else the statement will say what is wrong. */
  #takePart(tenant: TenantId, part: Extract<FromClient, { type: 'part' }>): void {
    const state = this.#state;
    if (state.phase !== 'running' || state.conversation?.phase !== 'asking') return;
    const { asked, said, stage, attempt } = state.conversation;
    const { name } = stagesOf(state, this.#rules)[stage]!;
    const isHere = part.epoch === state.epoch && part.round === roundNumber(state) && part.attempt === attempt;
    if (!isHere || part.stage !== name || !asked.includes(tenant) || said.has(tenant)) return;
    const place = placeOf(state, name, attempt);
    const total = this.#protocol.vectorBytes(name, shapeOf(this.plan));
    if (!this.#uploads.take(place, tenant, part, total) || part.at + part.bytes.length === total) return;
    const length = this.#uploads.held(place, tenant);
    this.#telling.have(tenant, place, length);
  }

  #hear(tenant: TenantId, message: Say): void {
    if (this.#state.phase !== 'running') return this.#apply(tenant, message.stage, 'round-over');
    const place = placeOf(this.#state, message.stage, message.attempt);
    const statement = statementOf(tenant, message, this.#uploads.complete(place, tenant));
    const facts = this.#accepts(statement, message) ?? this.#keep(statement, message);
    this.#apply(tenant, message.stage, facts);
    if (typeof facts === 'string') this.#uploads.refuse(place, tenant);
    else this.#uploads.drop(place, tenant);
  }

  /** Everything about a statement that does not depend on who else has spoken. @returns why not */
  #accepts(statement: Statement, message: Say): string | undefined {
    const state = this.#state;
    if (state.phase !== 'running' || state.conversation?.phase !== 'asking') return 'round-over';
    const refusal = this.#hearing.refusal(state, state.conversation, statement, message);
    if (refusal !== undefined) return refusal;
    const stage = stagesOf(state, this.#rules)[state.conversation.stage]!;
    return this.#epochOf(state).malformed(stage, statement);
  }

  /** The body is on disk with the fact that it was said. */
  #keep(statement: Statement, message: Say): readonly TaskFact[] | string {
    const { from: tenant, vector } = statement;
    const { body, hash } = bodyOf(statement);
    const bytes = body.length + (vector?.length ?? 0);
    const facts = decide(this.#state, { ...message, tenant, hash, bytes }, this.#rules);
    if (typeof facts === 'string') return facts;
    const place = placeOf(this.#running(), message.stage, message.attempt);
    const also = (): void => {
      this.#world.store.putBody(this.id, place, tenant, body);
      this.#uploads.keep(place, tenant);
    };
    this.#commit(facts, { also });
    const kept = vector && storedVector(this.#world.store, this.id, place, tenant, vector);
    this.#hearing.said(place).set(tenant, { ...statement, ...(kept ? { vector: kept } : {}) });
    return [];
  }

  #heard(stage: string, attempt = 1): ReceivedAll {
    return sorted(this.#hearing.said(placeOf(this.#running(), stage, attempt)));
  }

  // ---- moving on

  async #proceed(): Promise<void> {
    for (;;) {
      const move = nextMove(this.#state, this.#rules, this.#present(), this.#openers, this.#spent());
      if (move === undefined) return;
      await this.#make(move);
    }
  }

  #present(): ReadonlySet<TenantId> {
    return this.#telling.present();
  }

  #spent(): ReadonlySet<TenantId> {
    return new Set([...this.budgets].filter(([, counted]) => isSpent(counted)).map(([tenant]) => tenant));
  }

  readonly #openers = (present: readonly TenantId[]): readonly TenantId[] =>
    this.#epochOf(this.#running()).openers(present);

  async #make(move: Move): Promise<void> {
    switch (move.type) {
      case 'stop':
        return this.#stop(move.reason);
      case 'complete':
        return this.#complete();
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
            head: positionOf(this.#world.ledger.head),
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
    const epoch = this.#running().epoch + 1;
    this.#commit([{ type: 'epoch-begun', epoch, members, head: positionOf(this.#world.ledger.head) }], {
      // whoever loses its keys in every round would fill the disk with everybody's dealt shares
      also: () => this.#world.store.eraseEpochs(this.id, epoch),
    });
    this.#hearing.forget();
    await this.#openEpoch();
  }

  async #openEpoch(): Promise<void> {
    const state = this.#running();
    const transcript = transcriptOf(epochOccasion(this.#protocol, this.#hearing.occasion({ ...state, keyed: false })));
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
      // a complete task waits for its witnesses, and what its keys were made of is erased
      if (this.#state.phase === 'running' && this.#state.epoch > 0 && !this.isComplete) {
        await this.#openEpoch();
        if (this.#state.keyed && this.#protocol.keying.length > 0)
          await this.#epochOf(this.#state).keyed(this.#keyingHeard(this.#state));
      }
      if ('accepted' in this.#state) for (const tenant of this.#state.accepted) this.#awaited.add(tenant);
      if (!this.isOver) this.#commit([{ type: 'resumed', at: this.#world.clock() }]);
      await this.#proceed();
    });
  }

  #keyingHeard(state: Running): ReceivedAll {
    const last = this.#protocol.keying.at(-1)!;
    return sorted(this.#hearing.said({ epoch: state.epoch, round: 0, stage: last.name, attempt: 1 }));
  }

  async #ask({ stage, attempt, tenants, openers, patient }: Extract<Move, { type: 'ask' }>): Promise<void> {
    // who has not come back since the restart is not gone: it was the coordinator that was
    const isPatient = patient || tenants.some((tenant) => this.#awaited.has(tenant));
    const at = this.#world.clock();
    this.#commit([inRound({ type: 'asked', stage, attempt, asked: tenants, at, patient: isPatient })]);
    const state = this.#running();
    for (const [i, tenant] of tenants.entries()) {
      // what two hundred are shown of each other takes seconds to write: meanwhile pings are answered, and others heard
      if (i % AT_ONCE === AT_ONCE - 1) await setImmediate();
      // who has come back meanwhile is asked when it has caught up: before, it knows neither model nor keys of this round
      if (this.#telling.caughtUp.has(tenant)) this.#telling.ask(tenant, state, { stage, attempt, openers });
    }
  }

  async #concludeKeying(stage: Stage): Promise<void> {
    await this.#epochOf(this.#running()).keyed(this.#heard(stage.name));
    this.#commit([inRound({ type: 'concluded' })]);
    const state = this.#running();
    for (const tenant of state.members) if (this.#telling.caughtUp.has(tenant)) this.#telling.keyed(tenant, state);
  }

  /** The charge is in the ledger before anyone is asked to open, and before the coordinator opens anything itself. */
  async #charge(stage: Stage): Promise<void> {
    const contributions = this.#heard(stage.name);
    const sumHash = hex(await this.#epochOf(this.#running()).sumHash(contributions));
    const { round } = this.#running();
    this.#commit([inRound({ type: 'charged', sumHash })], {
      entries: [{ kind: 'charge', round, event: chargedEvent(this.plan), sumHash, contributions: contributions.size }],
    });
  }

  async #open(contribute: Stage, share: { stage: Stage; attempt: number } | undefined): Promise<void> {
    const contributions = this.#heard(contribute.name);
    const shares = share === undefined ? new Map() : this.#heard(share.stage.name, share.attempt);
    const state = this.#running();
    const record = { transcript: transcriptOf(this.#hearing.occasion(state)), prepared: this.#prepared(state) };
    const sum = await this.#epochOf(state).open(contributions, shares, record);
    const progress = takeIn(this.plan, this.#progress, sum);
    const model = progressHash(this.plan, progress, this.#rules.steps);
    const { sumHash } = state.conversation!.charge!;
    const { round } = state;
    const opened = { round, sum: vectorBytes(sum), contributions: contributions.size, model };
    const parameters = progress.steps === this.#rules.steps ? released(this.plan, progress) : progress.parameters;
    this.#commit([inRound({ type: 'concluded' }), { type: 'opened', sumHash, model }], {
      entries: [{ kind: 'release', round, modelHash: model, sumHash }],
      also: () => {
        this.#world.store.putSum(this.id, opened);
        this.#world.store.putParameters(model, vectorBytes(parameters));
        this.#world.store.eraseRounds(this.id, round);
      },
    });
    this.#hearing.forget();
    this.#uploads.forget();
    this.#progress = progress;
    this.lastContributions = contributions.size;
    // who has not caught up since it connected gets this one with the others it missed
    this.#telling.opened(this.#running().accepted, opened, this.#tellNext);
  }

  #prepared(state: Running): Map<TenantId, Statement>[] {
    const before = stagesOf(state, this.#rules).filter(({ gate }) => gate === 'prepare');
    return before.map(({ name }) => this.#hearing.said(placeOf(state, name, 1)));
  }

  /** A tenant that was away takes in what was opened meanwhile. Accepting says how far it is. */
  #catchUp(tenant: TenantId, connection: symbol | undefined, round: number): void {
    if (!('accepted' in this.#state) || !this.#state.accepted.includes(tenant)) return;
    if (this.#telling.beginsToCatchUp(tenant, connection)) this.#tellMissed(tenant, connection, round);
  }

  #tellMissed(tenant: TenantId, connection: symbol | undefined, round: number): void {
    if (this.#state.phase === 'stopped' || !this.#telling.isCatchingUp(tenant, connection)) return;
    if (this.#telling.openedAfter(tenant, round, this.#tellNext)) return;
    this.#telling.hasCaughtUp(tenant);
    this.#awaited.delete(tenant);
    this.#tellNow(tenant);
  }

  readonly #tellNext = (tenant: TenantId, connection: symbol | undefined, told: number): void =>
    void this.#enqueue(async () => this.#tellMissed(tenant, connection, told));

  /** Where the task stands, for who knows every sum: how it ended, or what it is asked and may have missed. */
  #tellNow(tenant: TenantId): void {
    const state = this.#state;
    const note = this.#witnessedNote() ?? this.#world.witnessed(this.#entry, this.plan);
    if (note !== undefined) this.#telling.witnessed(tenant, note);
    if (state.phase === 'finished') this.#endFor([tenant], 'finished', '');
    if (state.phase !== 'running') return;
    this.#telling.keyed(tenant, state); // between rounds too: the next one asks only whom it finds with keys
    if (state.conversation?.phase !== 'asking') return;
    const { asked, said, stage, attempt } = state.conversation;
    if (!asked.includes(tenant) || said.has(tenant)) return;
    const opens = stagesOf(state, this.#rules)[stage]!.gate === 'open';
    this.#telling.ask(tenant, state, { stage, attempt, openers: opens ? asked : [] });
  }

  /** The ledger says that the task is complete; its result counts, and is handed out, when the quorum has cosigned that. */
  #complete(): void {
    const { round, model } = this.#running();
    this.#commit([{ type: 'completed', entry: this.#world.ledger.head.size }], {
      entries: [{ kind: 'finish', rounds: round, modelHash: model }],
      also: () => this.#world.store.eraseTask(this.id),
    });
    this.#world.askWitnesses(this.plan);
  }

  #stop(reason: StopReason): void {
    if (this.isOver || this.isComplete) return;
    this.#commit([{ type: 'stopped', reason }], {
      entries: [{ kind: 'stop', reason }],
      also: () => this.#world.store.eraseTask(this.id),
    });
    this.#endFor(
      this.plan.roster.map(({ tenant }) => tenant),
      'stopped',
      reason,
    );
    this.#world.askWitnesses(this.plan);
  }

  #endFor(tenants: readonly TenantId[], outcome: 'finished' | 'stopped', reason: string): void {
    this.#epoch?.forget();
    this.#epoch = undefined;
    this.#hearing.forget();
    this.#uploads.forget();
    this.#telling.over(tenants, outcome, reason);
  }

  #running(): Running {
    if (this.#state.phase !== 'running') throw new Error(`task ${this.id} is ${this.#state.phase}, not running`);
    return this.#state;
  }
}
