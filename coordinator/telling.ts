import { type Plan, planText, shapeOf, taskId } from '../aggregation/plan.ts';
import { protocolNamed } from '../aggregation/protocols.ts';
import type { TenantId } from '../aggregation/secure-sum.ts';
import { type Hearing, roundNumber } from './hearing.ts';
import type { Asking } from './round.ts';
import type { BodyPlace, StoredSum } from './store/event-store.ts';
import { type Running, stagesOf, type TaskRules } from './task.ts';
import type { Uploads } from './uploads.ts';
import type { Unsent, World } from './world.ts';

/**
 * What tenants are told of one task, message by message. Everything it promises is on disk by then (`course.ts`).
 *
 * A tenant that connects has first to catch up: it accepts, saying what it has taken in, and is sent what it missed, one sum
 * after the other as they leave: all at once would be as many models in memory. Until then it is asked nothing. So it is for
 * who has not read the last sum when the next is opened: it has fallen behind, and what it missed waits on disk.
 */
export class Telling {
  readonly #plan: Plan;
  readonly #task: string;
  readonly #rules: TaskRules;
  readonly #hearing: Hearing;
  readonly #uploads: Uploads;
  readonly #world: World;
  readonly #caughtUp = new Set<TenantId>();
  /** those that are on the way there */
  readonly #catchingUp = new Set<TenantId>();
  /** those that have not read the last sum they were sent */
  readonly #reading = new Set<TenantId>();
  /** the plan of an evaluation, and sums by round */
  readonly #long = new Map<number | 'plan', WeakRef<Opened | Proposal>>();
  /** what stands for the connection that each has now */
  readonly #connections = new Map<TenantId, symbol>();

  constructor(plan: Plan, rules: TaskRules, hearing: Hearing, uploads: Uploads, world: World) {
    this.#plan = plan;
    this.#task = taskId(plan);
    this.#rules = rules;
    this.#hearing = hearing;
    this.#uploads = uploads;
    this.#world = world;
  }

  /** Tenants that have accepted over the connection they have now, and know every sum that was opened. */
  get caughtUp(): ReadonlySet<TenantId> {
    return this.#caughtUp;
  }

  /** Those of them that are there. */
  present(): ReadonlySet<TenantId> {
    return new Set([...this.#world.present()].filter((tenant) => this.#caughtUp.has(tenant)));
  }

  connectionOf(tenant: TenantId): symbol | undefined {
    return this.#connections.get(tenant);
  }

  /**
   * @param connection - over which it has said what it has taken in; over another there may be another process that has not
   * @returns false when it has begun before
   */
  beginsToCatchUp(tenant: TenantId, connection: symbol | undefined): boolean {
    if (this.#caughtUp.has(tenant) || this.#catchingUp.has(tenant)) return false;
    if (this.connectionOf(tenant) !== connection) return false;
    this.#catchingUp.add(tenant);
    return true;
  }

  isCatchingUp(tenant: TenantId, connection: symbol | undefined): boolean {
    return this.#catchingUp.has(tenant) && this.connectionOf(tenant) === connection;
  }

  hasCaughtUp(tenant: TenantId): void {
    this.#catchingUp.delete(tenant);
    this.#caughtUp.add(tenant);
  }

  /**
   * It has another connection, or takes no further part. It is told nothing of the task until it accepts again; that it accepted before
   * counts no more, though its turn comes later.
   */
  forget(tenant: TenantId): void {
    this.#connections.set(tenant, Symbol(tenant));
    this.#caughtUp.delete(tenant);
    this.#catchingUp.delete(tenant);
    this.#reading.delete(tenant);
  }

  /** @param isWanted - asked when its turn has come: that of an evaluation holds its model */
  plan(tenant: TenantId, signature: Uint8Array, isWanted: () => boolean): void {
    const { work } = this.#plan.settings;
    const message = (parameters: Uint8Array): Proposal => ({
      type: 'plan',
      plan: planText(this.#plan),
      signature,
      parameters,
    });
    if (work.kind !== 'evaluate') return this.#world.send(tenant, message(new Uint8Array(0)));
    const make = () => message(this.#world.store.parameters(work.parameters)!);
    this.#world.sendLong(tenant, () => (isWanted() ? this.#shared('plan', make) : undefined));
  }

  /** What all are asked who are asked now. One message, but for those to whom something is sealed. */
  question(state: Running, { stage, attempt, asked }: Asked): Question {
    const { name, gate } = stagesOf(state, this.#rules)[stage]!;
    return {
      type: 'ask',
      task: this.#task,
      epoch: state.epoch,
      round: roundNumber(state),
      stage: name,
      attempt,
      model: state.keyed ? state.model : '',
      head: state.keyed ? state.roundHead : state.epochHead,
      members: [...state.members],
      openers: gate === 'open' ? [...asked] : [],
      heard: this.#hearing.before(state, stage),
      have: 0,
    };
  }

  /** @param letters - what is sealed to it @param left - as `Link.send` calls it */
  ask(tenant: TenantId, question: Question, letters?: ReadonlyMap<TenantId, Uint8Array>, left?: () => void): void {
    const have = this.#held(question, tenant);
    if (letters === undefined && have === 0) return this.#world.send(tenant, question, left);
    const heard = question.heard.map((one) => {
      const sealed = letters?.get(one.from);
      return sealed === undefined ? one : { ...one, sealed };
    });
    this.#world.send(tenant, { ...question, heard, have }, left);
  }

  /** Of a vector that was begun before: it goes on from there. */
  #held(place: BodyPlace, tenant: TenantId): number {
    const hasVector =
      protocolNamed(this.#plan.settings.secureSum.protocol).vectorBytes(place.stage, shapeOf(this.#plan)) > 0;
    return hasVector ? this.#uploads.held(place, tenant) : 0;
  }

  have(tenant: TenantId, place: BodyPlace, length: number): void {
    this.#world.send(tenant, { type: 'have', task: this.#task, ...place, length });
  }

  /** What was said in the last keying stage, where there is one. */
  keyed(tenants: readonly TenantId[], state: Running): void {
    const last = this.#rules.protocol.keying.at(-1);
    if (last === undefined || !state.keyed) return;
    const said = this.#hearing.said({ epoch: state.epoch, round: 0, stage: last.name, attempt: 1 });
    const heard = [...said.values()].map(({ relayed }) => relayed);
    const message = { type: 'keyed', task: this.#task, epoch: state.epoch, heard } as const;
    for (const tenant of tenants) this.#world.send(tenant, message);
  }

  /**
   * To all that have caught up; the others get it with what else they missed. One message: it is as long as the model.
   *
   * @param next - told of each that it has left, and to whom
   */
  opened(tenants: readonly TenantId[], sum: StoredSum, next: Next): void {
    const message = this.#sum(sum);
    for (const tenant of tenants) {
      if (!this.#caughtUp.has(tenant)) continue;
      if (this.#reading.has(tenant)) this.#fallBehind(tenant);
      else this.#opened(tenant, message, next);
    }
  }

  /**
   * The first sum opened after `round`.
   *
   * @param next - told when it has left
   * @returns whether there was one
   */
  openedAfter(tenant: TenantId, round: number, next: Next): boolean {
    const [sum] = this.#world.store.sums(this.#task, round);
    if (sum === undefined) return false;
    this.#opened(tenant, this.#sum(sum), next);
    return true;
  }

  #sum(sum: StoredSum): Opened {
    return this.#shared(sum.round, () => ({ type: 'opened', task: this.#task, ...sum }));
  }

  /** Of what is long there is one message, for as long as somebody is being sent it. */
  #shared<M extends Opened | Proposal>(name: number | 'plan', make: () => M): M {
    const known = this.#long.get(name)?.deref() as M | undefined;
    const message = known ?? make();
    if (known === undefined) {
      for (const [other, sent] of this.#long) if (sent.deref() === undefined) this.#long.delete(other);
      this.#long.set(name, new WeakRef(message));
    }
    return message;
  }

  #opened(tenant: TenantId, message: Opened, next: Next): void {
    const connection = this.connectionOf(tenant);
    this.#reading.add(tenant);
    this.#world.send(tenant, message, () => {
      if (this.connectionOf(tenant) === connection) this.#reading.delete(tenant);
      next(tenant, connection, message.round);
    });
  }

  #fallBehind(tenant: TenantId): void {
    this.#caughtUp.delete(tenant);
    this.#catchingUp.add(tenant);
  }

  witnessed(tenant: TenantId, note: string): void {
    this.#world.send(tenant, { type: 'witnessed', task: this.#task, note });
  }

  refused(tenant: TenantId, about: string, reason: string): void {
    this.#world.send(tenant, { type: 'refused', about, reason });
  }

  over(tenants: readonly TenantId[], outcome: 'finished' | 'stopped', reason: string): void {
    for (const tenant of tenants) this.#world.send(tenant, { type: 'over', task: this.#task, outcome, reason });
  }
}

type Asked = Pick<Asking, 'stage' | 'attempt' | 'asked'>;
type Question = Extract<Unsent, { type: 'ask' }>;
type Opened = Extract<Unsent, { type: 'opened' }>;
type Proposal = Extract<Unsent, { type: 'plan' }>;

/** A sum has left, over a connection that may be gone by now. */
type Next = (tenant: TenantId, connection: symbol | undefined, round: number) => void;
