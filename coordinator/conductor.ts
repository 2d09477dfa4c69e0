import { isStorageError } from '../aggregation/exit.ts';
import { hex, type Plan, poolOf } from '../aggregation/plan.ts';
import type { Progress } from '../aggregation/progress.ts';
import type { Stage, TenantId } from '../aggregation/secure-sum.ts';
import type { FromClient } from '../aggregation/wire.ts';
import type { LedgerBody } from '../privacy/ledger.ts';
import { Answers } from './answers.ts';
import { Asking } from './asking.ts';
import { CatchingUp } from './catching-up.ts';
import { budgetsOf, type Counted } from './counting.ts';
import { Course } from './course.ts';
import { decide } from './decide-task.ts';
import { Epochs } from './epochs.ts';
import { Hearing } from './hearing.ts';
import { Moves } from './moves.ts';
import type { Proposed, Running, StopReason, TaskFact, TaskState } from './task.ts';
import { Telling } from './telling.ts';
import { Uploads } from './uploads.ts';
import { type Waiting, waitingOf } from './waiting.ts';
import type { World } from './world.ts';

/**
 * Runs one task: messages in, facts to the store, effects out.
 *
 *   message ──decide──▶ facts ──commit──▶ advance ──nextMove──▶ move ──▶ facts … until nothing is left to do
 *
 * One message at a time. Everything a fact promises is on disk before anyone is told (`course.ts`); after a restart the
 * same facts give the same state, and `nextMove` goes on from there.
 */
export class Conductor {
  readonly signature: Uint8Array;
  readonly #world: World;
  readonly #course: Course;
  readonly #hearing: Hearing;
  readonly #uploads: Uploads;
  readonly #telling: Telling;
  readonly #epochs: Epochs;
  readonly #answers: Answers;
  readonly #catchingUp: CatchingUp;
  readonly #moves: Moves;
  #queue: Promise<void> = Promise.resolve();
  #isParked = false;

  /** Takes up a task from the store; for a new one, its `proposed` fact is already there. */
  constructor(plan: Plan, signature: Uint8Array, world: World) {
    const { store } = world;
    this.signature = signature;
    this.#world = world;
    const course = new Course(plan, world);
    const hearing = new Hearing(plan, course.rules, store, world.scratch);
    const uploads = new Uploads(store, course.id);
    const telling = new Telling(plan, course.rules, hearing, uploads, world);
    const epochs = new Epochs(course, hearing);
    const inTurn = (work: () => void): void =>
      void this.#enqueue(async () => {
        work();
        await this.#moves.proceed();
      });
    const asking = new Asking({ hearing, telling, clock: world.clock, rules: course.rules }, () => inTurn(() => {}));
    const catchingUp = new CatchingUp({ course, telling, asking, world }, inTurn);
    this.#course = course;
    this.#hearing = hearing;
    this.#uploads = uploads;
    this.#telling = telling;
    this.#epochs = epochs;
    this.#catchingUp = catchingUp;
    this.#answers = new Answers({ course, epochs, hearing, uploads, telling, store });
    this.#moves = new Moves({ course, epochs, hearing, uploads, telling, asking, catchingUp, world });
  }

  get id(): string {
    return this.#course.id;
  }

  get plan(): Plan {
    return this.#course.plan;
  }

  get state(): TaskState {
    return this.#course.state;
  }

  get progress(): Progress {
    return this.#course.progress;
  }

  /** Bytes tenants have said in this task so far, by its facts. */
  get bytesUp(): number {
    return this.#course.bytesUp;
  }

  /** Contributions in the last sum that was opened. */
  get lastContributions(): number {
    return this.#course.lastContributions;
  }

  get isOver(): boolean {
    return this.#course.isOver;
  }

  /** Of the conversation under way: keying, or summing; none before and after. */
  get stages(): readonly Stage[] {
    return this.#course.stages;
  }

  /** Is this tenant in the plan, with this key? */
  lists(tenant: TenantId, key: Uint8Array): boolean {
    return this.plan.roster.some((one) => one.tenant === tenant && one.key === hex(key));
  }

  /** Where the plan's tenants stand with the pool that pays; those that have stated it. */
  get budgets(): ReadonlyMap<TenantId, Counted> {
    return budgetsOf(this.plan, this.#world);
  }

  /** What it waits for now, whom, and until when. */
  get waiting(): Waiting | undefined {
    return waitingOf(this.state, this.#course.rules, this.#telling.present(), this.#world.clock());
  }

  /** Nothing is left to do but to be witnessed. */
  get isComplete(): boolean {
    return this.#course.isComplete;
  }

  /** @returns when everything that followed from the message is done */
  receive(
    tenant: TenantId,
    message: Extract<FromClient, { type: 'accept' | 'decline' | 'part' | 'say' | 'cannot' }>,
  ): Promise<void> {
    const connection = this.#telling.connectionOf(tenant); // of now: when its turn comes it may be another
    return this.#enqueue(async () => {
      if (message.type === 'part') return this.#answers.takePart(tenant, message);
      if (message.type === 'accept' && !this.#mayAccept(tenant))
        return this.#telling.refused(tenant, 'accept', 'budget-not-approved');
      if (message.type === 'accept' && this.state.phase === 'finished')
        return this.#catchingUp.begin(tenant, connection, message.round);
      if (message.type === 'say') this.#answers.say(tenant, message);
      else if (message.type === 'accept') this.#accept(tenant, message);
      else this.#apply(tenant, message.type, decide(this.state, { ...message, tenant }, this.#course.rules));
      if (message.type === 'accept') this.#catchingUp.begin(tenant, connection, message.round);
      if (message.type === 'decline') this.#telling.forget(tenant);
      await this.#moves.proceed();
    });
  }

  /** Does this task wait for tenants to cosign the ledger? */
  get needsWitness(): boolean {
    const { state } = this;
    return (state.phase === 'proposed' && !state.witnessed) || (state.phase === 'running' && state.end !== undefined);
  }

  /** More tenants have cosigned the ledger. */
  cosigned(): Promise<void> {
    return this.#enqueue(async () => {
      if (!this.needsWitness) return;
      const { note } = this.#course;
      if (note === undefined) return;
      const facts = decide(this.state, { type: 'witnessed' }, this.#course.rules);
      if (typeof facts === 'string' || facts.length === 0) return;
      const { accepted } = this.state as Proposed | Running;
      this.#course.commit(facts);
      for (const tenant of this.#telling.caughtUp) this.#telling.witnessed(tenant, note);
      // who has not caught up yet is told when it accepts again
      if (this.state.phase === 'finished')
        this.#moves.endFor(
          accepted.filter((tenant) => this.#telling.caughtUp.has(tenant)),
          'finished',
          '',
        );
      await this.#moves.proceed();
    });
  }

  tick(): Promise<void> {
    return this.#enqueue(async () => {
      const { rules } = this.#course;
      const facts = decide(
        this.state,
        { type: 'tick', at: this.#world.clock(), present: this.#world.presentWithin(rules.graceMs) },
        rules,
      );
      const stopped = typeof facts === 'string' ? undefined : facts.find(({ type }) => type === 'stopped');
      if (stopped?.type === 'stopped') return this.#moves.stop(stopped.reason);
      if (typeof facts !== 'string' && facts.length > 0) this.#course.commit(facts);
      await this.#moves.proceed();
    });
  }

  /** Erases a little of what rounds that are over have left on disk. Call as often as `tick`, when the task is over too. */
  sweep(): Promise<void> {
    return this.#enqueue(async () => {
      const { state } = this;
      if (state.phase === 'running')
        this.#uploads.sweep(state.conversation === undefined ? state.round : state.round - 1);
      else if (this.isOver) this.#uploads.sweep(Number.MAX_SAFE_INTEGER);
    });
  }

  /** After a restart: goes on from what is stored. Who took part is waited for: it was the coordinator that was away. */
  resume(): Promise<void> {
    return this.#enqueue(async () => {
      const { state } = this;
      // a complete task waits for its witnesses, and what its keys were made of is erased
      if (state.phase === 'running' && state.epoch > 0 && !this.isComplete) await this.#epochs.resume();
      if ('accepted' in state) this.#catchingUp.expect(state.accepted);
      if (!this.isOver) this.#course.commit([{ type: 'resumed', at: this.#world.clock() }]);
      await this.#moves.proceed();
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

  /** Gives back what it holds beside its task. It has been parked, or its process ends. */
  close(): void {
    this.#hearing.forget();
  }

  stop(reason: StopReason): Promise<void> {
    return this.#enqueue(async () => this.#moves.stop(reason));
  }

  /** A tenant has another key than the plan's now, or none: the task goes on without it, or stops by its minimum. */
  withdraw(tenant: TenantId, reason: string): Promise<void> {
    return this.#enqueue(async () => {
      this.#telling.forget(tenant);
      const facts = decide(this.state, { type: 'decline', tenant, cause: 'roster', reason }, this.#course.rules);
      if (typeof facts !== 'string') this.#course.commit(facts); // over, or answered so before: nothing is left to withdraw
      await this.#moves.proceed();
    });
  }

  /** What a tenant that connects needs to take part: the plan, and what it starts from. */
  propose(tenant: TenantId): void {
    this.#telling.forget(tenant);
    if (!this.isOver && this.#hearing.knows(tenant)) this.#tellPlan(tenant);
  }

  /** For a tenant that was away when the task ended: without this it would wait for its model for ever. */
  recall(tenant: TenantId): void {
    const { state } = this;
    if (state.phase === 'stopped' && this.#hearing.knows(tenant)) this.#telling.over([tenant], 'stopped', state.reason);
    if (state.phase === 'finished' && state.accepted.includes(tenant)) this.#tellPlan(tenant);
  }

  /** More people have approved what this tenant lets its customers spend: it may accept now. */
  proposeAgain(tenant: TenantId): void {
    if (!this.#hasAccepted(tenant)) this.propose(tenant);
  }

  #tellPlan(tenant: TenantId): void {
    this.#telling.plan(tenant, this.signature, () => this.state.phase !== 'stopped');
  }

  /** Asked again, by the plan, as soon as it may. */
  #mayAccept(tenant: TenantId): boolean {
    return this.#hasAccepted(tenant) || !this.#world.isRaising(tenant, poolOf(this.plan));
  }

  #hasAccepted(tenant: TenantId): boolean {
    return 'accepted' in this.state && this.state.accepted.includes(tenant);
  }

  /** The first time it is in the ledger, with the tenant's signature. */
  #accept(tenant: TenantId, { dataset, signature }: Extract<FromClient, { type: 'accept' }>): void {
    const facts = decide(this.state, { type: 'accept', tenant }, this.#course.rules);
    if (typeof facts === 'string') return this.#apply(tenant, 'accept', facts);
    const entries: LedgerBody[] = facts.some(({ type }) => type === 'accepted')
      ? [{ kind: 'accept', tenant, dataset, signature: hex(signature) }]
      : [];
    if (facts.length > 0) this.#course.commit(facts, { entries });
  }

  #apply(tenant: TenantId, about: string, facts: readonly TaskFact[] | string): void {
    if (typeof facts === 'string') this.#telling.refused(tenant, about, facts);
    else if (facts.length > 0) this.#course.commit(facts);
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
      if (!this.isOver) this.#moves.stop('coordinator-error');
    } catch (second) {
      this.#world.failed(this.id, second);
    }
  }
}
