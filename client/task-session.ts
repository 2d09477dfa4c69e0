import { type Plan, roundsOf, shapeOf, taskId } from '../aggregation/plan.ts';
import { begin, type Progress, progressHash, released, takeIn } from '../aggregation/progress.ts';
import { protocolNamed } from '../aggregation/protocols.ts';
import type { SecureSum, Stage, TenantEpoch, TenantId } from '../aggregation/secure-sum.ts';
import { epochOccasion, transcriptOf } from '../aggregation/transcript.ts';
import { type FromCoordinator, vectorFrom } from '../aggregation/wire.ts';
import type { Customers } from './contribution.ts';
import { type Answer, type Ask, Conversation, stageNamed } from './conversation.ts';
import { Declined } from './declined.ts';
import { FreshVectors } from './fresh-vectors.ts';
import { checkCohort, checkUnanswered, GatedRound } from './gated-round.ts';
import type { ClientWorld } from './participant.ts';
import { pinnedTenants } from './policy.ts';
import { checkBegun, checkReleased, headHash } from './task-ledger.ts';

/**
 * A tenant's side of one accepted task.
 *
 *   ask ──▶ are these the statements of the tenants, made here and now? (`conversation.ts`)
 *       ──▶ may this tenant answer? (`gated-round.ts`: cohort, budget, ledger, once per round)
 *       ──▶ the protocol's answer, signed
 *   opened ──▶ the same next model, computed here
 *
 * Keys are made for an epoch, and serve its rounds. Whatever does not hold ends the task for this tenant: it declines, and
 * says why.
 */
export class TaskSession {
  readonly plan: Plan;
  readonly id: string;
  readonly #world: ClientWorld;
  readonly #protocol: SecureSum;
  readonly #pinned: ReadonlySet<TenantId>;
  readonly #vectors: FreshVectors;
  #progress: Progress;
  /** plan and acceptance, and the plan cosigned */
  #isInLedger = false;
  /** last round whose sum was taken in */
  #taken = 0;
  #epoch: Epoch | undefined;
  #round: Round | undefined;
  /** the answers of the conversation under way, to be sent again after a lost connection */
  #answers = new Map<string, Answer>();

  constructor(plan: Plan, start: Float64Array, customers: Customers, world: ClientWorld) {
    this.plan = plan;
    this.id = taskId(plan);
    this.#world = world;
    this.#protocol = protocolNamed(plan.settings.secureSum.protocol);
    this.#pinned = pinnedTenants(world.policy, plan);
    this.#progress = begin(start);
    this.#vectors = new FreshVectors(plan, customers, world);
  }

  get lastRoundTaken(): number {
    return this.#taken;
  }

  /** Hash of the model as it is now. */
  get model(): string {
    return progressHash(this.plan, this.#progress, roundsOf(this.plan));
  }

  /** Parameters of the finished task. @throws Error before its last step */
  get result(): Float64Array {
    if (this.#progress.steps !== roundsOf(this.plan)) throw new Error(`task ${this.id} is not finished`);
    return released(this.plan, this.#progress);
  }

  /** Ends this side of the task: keys are forgotten, the noise that was drawn ahead is overwritten. */
  forget(): void {
    this.#vectors.forget();
    this.#forgetEpoch();
  }

  /** @throws Declined when the sum does not lead to the model that the coordinator and the ledger name */
  takeIn(opened: Opened): void {
    if (opened.round <= this.#taken) return; // sent again after a lost connection
    const next = takeIn(this.plan, this.#progress, vectorFrom(opened.sum, this.plan.derived.dimension));
    const model = progressHash(this.plan, next, roundsOf(this.plan));
    if (model !== opened.model)
      throw new Declined(
        'broken-promise',
        `round ${opened.round}: the sum leads to another model than the coordinator names`,
      );
    checkReleased(this.#world.store, this.id, opened.round, model);
    this.#progress = next;
    this.#taken = opened.round;
    this.#round = undefined;
    this.#answers.clear();
  }

  /** @returns the signed answer; 'cannot' when this tenant has no part in this conversation @throws Declined, ProtocolBroken */
  async answer(ask: Ask): Promise<Answer | 'cannot'> {
    const key = `${ask.epoch}/${ask.round}/${ask.stage}/${ask.attempt}`;
    const before = this.#answers.get(key);
    if (before !== undefined) return before;
    this.#checkBegun();
    const answer = ask.round === 0 ? await this.#answerKeying(ask) : await this.#answerRound(ask);
    if (answer !== 'cannot') this.#answers.set(key, answer);
    return answer;
  }

  /** The members' confirmations: from here on rounds can be held. @throws ProtocolBroken when two of them differ */
  async keyed({ epoch: number, heard }: Keyed): Promise<void> {
    const epoch = this.#epoch;
    if (epoch === undefined || epoch.number !== number || epoch.keyed) return;
    const said = epoch.keying.heard({ stage: 'keyed', model: '', heard }, this.#protocol.keying.length);
    await epoch.keys.keyed(said);
    epoch.keyed = true;
  }

  #checkBegun(): void {
    if (this.#isInLedger) return; // which only grows
    checkBegun(this.#world, this.plan);
    this.#isInLedger = true;
  }

  // ---- an epoch

  async #answerKeying(ask: Ask): Promise<Answer | 'cannot'> {
    const stage = stageNamed(this.#protocol.keying, ask.stage);
    if (stage === 0) await this.#beginEpoch(ask);
    const epoch = this.#epoch;
    if (epoch === undefined || epoch.number !== ask.epoch) return 'cannot';
    const heard = epoch.keying.heard(ask, stage);
    return epoch.keying.answer(ask, await epoch.keys.key(stage, heard));
  }

  async #beginEpoch(ask: Ask): Promise<void> {
    if (ask.epoch <= (this.#epoch?.number ?? 0))
      throw new Declined('broken-promise', `epoch ${ask.epoch} was begun before`);
    this.#forgetEpoch();
    const me = this.#world.policy.tenant;
    checkCohort(ask.members, this.plan, me, this.#pinned);
    const keying = this.#begin(ask, 0, this.#protocol.keying);
    const transcript = transcriptOf(epochOccasion(this.#protocol, keying.occasion));
    const keys = await this.#protocol.tenant({ shape: shapeOf(this.plan), members: ask.members, me, transcript });
    this.#epoch = { number: ask.epoch, keys, keying, keyed: this.#protocol.keying.length === 0 };
  }

  #forgetEpoch(): void {
    this.#epoch?.keys.forget();
    this.#epoch = undefined;
    this.#round = undefined;
    this.#answers.clear();
  }

  // ---- a round

  async #answerRound(ask: Ask): Promise<Answer | 'cannot'> {
    if (this.#protocol.keying.length === 0 && this.#epoch?.number !== ask.epoch) await this.#beginEpoch(ask);
    const epoch = this.#epoch;
    if (epoch?.number !== ask.epoch || !epoch.keyed) return 'cannot'; // no keys of this epoch: after a restart, say
    const stage = stageNamed(this.#protocol.summing, ask.stage);
    const round = this.#roundOf(ask, stage, epoch);
    if (round === undefined) return 'cannot';
    const heard = round.conversation.heard(ask, stage);
    return round.conversation.answer(ask, await round.gated.say(stage, heard, ask.openers));
  }

  /** @returns undefined for a round that this tenant has no part in */
  #roundOf(ask: Ask, stage: number, epoch: Epoch): Round | undefined {
    if (this.#round?.gated.number === ask.round) return this.#round;
    if (stage !== 0) return undefined; // it began without this tenant
    if (ask.model !== this.model)
      throw new Declined('broken-promise', `round ${ask.round} starts from a model that this tenant did not compute`);
    // paid for, and gone with the process that drew it: whether it had left nobody knows, so being asked again breaks no promise
    if (this.#contributesFirst && ask.round <= this.#world.store.lastRound(this.id)) return undefined;
    checkUnanswered(this.#world.store, this.id, ask.round);
    const conversation = this.#begin(ask, ask.round, this.#protocol.summing);
    const { parameters } = this.#progress;
    const gated = new GatedRound({
      number: ask.round,
      plan: this.plan,
      task: this.id,
      world: this.#world,
      pinned: this.#pinned,
      sum: epoch.keys.round(conversation.transcript(ask.model)),
      draw: () => this.#vectors.next(parameters),
    });
    this.#round = { conversation, gated };
    this.#answers.clear();
    return this.#round;
  }

  /** Nothing is said in a round before the contribution: who is asked for it again may not have been heard. */
  get #contributesFirst(): boolean {
    return this.#protocol.summing[0]?.gate === 'contribute';
  }

  /** @param round - 0 while keys are made */
  #begin(ask: Ask, round: number, stages: readonly Stage[]): Conversation {
    const { identity, policy, store } = this.#world;
    const ledger = headHash(store, ask);
    const me = policy.tenant;
    return new Conversation({ plan: this.plan, task: this.id, me, identity, epoch: ask.epoch, round, ledger, stages });
  }
}

export type Keyed = Extract<FromCoordinator, { type: 'keyed' }>;
export type Opened = Extract<FromCoordinator, { type: 'opened' }>;

interface Epoch {
  readonly number: number;
  readonly keys: TenantEpoch;
  readonly keying: Conversation;
  keyed: boolean;
}

interface Round {
  readonly conversation: Conversation;
  readonly gated: GatedRound;
}
