import canonicalize from 'canonicalize';
import { isStorageError } from '../aggregation/exit.ts';
import { isSignedBy } from '../aggregation/identity.ts';
import { chargedEvent, hex, type Plan, rosterHash, roundsOf, shapeOf, taskId } from '../aggregation/plan.ts';
import { planEntry } from '../aggregation/plan-entry.ts';
import { begin, type Progress, progressHash, released, takeIn } from '../aggregation/progress.ts';
import { protocolNamed } from '../aggregation/protocols.ts';
import {
  type Heard,
  type HeardAll,
  ProtocolBroken,
  type Said,
  type SecureSum,
  type Stage,
  type TenantEpoch,
  type TenantId,
  type TenantRound,
} from '../aggregation/secure-sum.ts';
import {
  digest,
  heardHash,
  isRelayed,
  NOTHING_HEARD,
  type Occasion,
  type Place,
  type Relayed,
  signStatement,
  transcriptOf,
} from '../aggregation/transcript.ts';
import { answerDigest, type FromClient, type FromCoordinator, vectorFrom } from '../aggregation/wire.ts';
import { dropNoise, type NoiseShare } from '../privacy/noise.ts';
import type { Noised } from '../privacy/steps.ts';
import { type Customers, contribution } from './contribution.ts';
import { witnessedSize } from './ledger-view.ts';
import type { ClientWorld } from './participant.ts';
import { pinnedTenants } from './policy.ts';
import { payRound } from './spending.ts';

/**
 * A tenant's side of one accepted task.
 *
 *   ask ──▶ are these the statements of the tenants, made here and now?
 *       ──▶ may this tenant answer? (`gate`: cohort, budget, ledger, once per round)
 *       ──▶ the protocol's answer, signed
 *   opened ──▶ the same next model, computed here
 *
 * Whatever does not hold ends the task for this tenant: it declines, and says why.
 */
export class Declined extends Error {
  override readonly name = 'Declined';
  readonly because: DeclineCause;
  constructor(because: DeclineCause, message: string) {
    super(message);
    this.because = because;
  }
}
export type DeclineCause = Extract<FromClient, { type: 'decline' }>['cause'];

/** What a tenant says, and the vector that goes ahead of it. */
export interface Answer {
  readonly say: Extract<FromClient, { type: 'say' }>;
  readonly vector?: Uint8Array;
}

export type Ask = Extract<FromCoordinator, { type: 'ask' }>;
export type Keyed = Extract<FromCoordinator, { type: 'keyed' }>;
export type Opened = Extract<FromCoordinator, { type: 'opened' }>;

interface Epoch {
  readonly number: number;
  readonly parties: readonly TenantId[];
  readonly keys: TenantEpoch;
  /** hash of the ledger's head when it began */
  readonly ledger: string;
  keyed: boolean;
}

interface Round {
  readonly number: number;
  readonly startedAt: number;
  readonly protocol: TenantRound;
  /** hash of the ledger's head when it began */
  readonly ledger: string;
  /** begins when the answer before it has left, so that its time does not tell how long the batch took; needs nobody else */
  vector: Promise<Noised> | undefined;
  /** what this tenant heard before it answered each stage, by stage name */
  readonly heard: Map<string, Uint8Array>;
  cohort: readonly TenantId[];
  /** what this tenant has agreed to open, where there is a stage for it */
  agreed: HeardAll | undefined;
}

export class TaskSession {
  readonly plan: Plan;
  readonly id: string;
  readonly #world: ClientWorld;
  readonly #customers: Customers;
  readonly #protocol: SecureSum;
  readonly #keys: ReadonlyMap<TenantId, Uint8Array>;
  readonly #pinned: ReadonlySet<TenantId>;
  /** asked for before the batch it will hide is known; the next one is asked for as soon as it is used */
  #noise: Promise<NoiseShare>;
  #progress: Progress;
  /** plan and acceptance, and the plan cosigned */
  #isInLedger = false;
  /** last round whose sum was taken in */
  #taken = 0;
  #epoch: Epoch | undefined;
  #round: Round | undefined;
  readonly #keyingHeard = new Map<string, Uint8Array>();
  /** the answers of the conversation under way, to be sent again after a lost connection */
  #answers = new Map<string, Answer>();

  constructor(plan: Plan, start: Float64Array, customers: Customers, world: ClientWorld) {
    this.plan = plan;
    this.id = taskId(plan);
    this.#world = world;
    this.#customers = customers;
    this.#protocol = protocolNamed(plan.settings.secureSum.protocol);
    this.#keys = new Map(plan.roster.map(({ tenant, key }) => [tenant, Buffer.from(key, 'hex')]));
    this.#pinned = pinnedTenants(world.policy, plan);
    this.#progress = begin(start);
    this.#noise = this.#askForNoise();
  }

  get lastRoundTaken(): number {
    return this.#taken;
  }

  get steps(): number {
    return this.#progress.steps;
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
    this.#noise.then(dropNoise, () => {});
    this.#forgetEpoch();
  }

  #forgetEpoch(): void {
    this.#epoch?.keys.forget();
    this.#epoch = undefined;
    this.#round = undefined;
    this.#answers.clear();
  }

  #askForNoise(): Promise<NoiseShare> {
    const share = this.#world.noise.draw(this.plan.derived.shareStdDev, this.plan.derived.dimension);
    share.catch(() => {}); // a supply that broke stops the task where the share is used
    return share;
  }

  // ---- what was opened

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
    const release = this.#world.store.ledgerEntry(this.id, opened.round, 'release');
    const charge = this.#world.store.ledgerEntry(this.id, opened.round, 'charge');
    if (release?.kind !== 'release' || release.modelHash !== model)
      throw new Declined('broken-promise', `round ${opened.round}: the ledger does not release this model`);
    if (charge?.kind !== 'charge' || charge.sumHash !== release.sumHash)
      throw new Declined('broken-promise', `round ${opened.round}: the ledger does not charge the sum it releases`);
    this.#progress = next;
    this.#taken = opened.round;
    this.#round = undefined;
    this.#answers.clear();
  }

  // ---- what is asked

  /** @returns the signed answer; undefined when this tenant cannot take part in this conversation @throws Declined, ProtocolBroken */
  async answer(ask: Ask): Promise<Answer | undefined> {
    const key = `${ask.epoch}/${ask.round}/${ask.stage}/${ask.attempt}`;
    const before = this.#answers.get(key);
    if (before !== undefined) return before;
    this.#checkWitnessed();
    const answer = ask.round === 0 ? await this.#answerKeying(ask) : await this.#answerRound(ask);
    if (answer !== undefined) this.#answers.set(key, answer);
    return answer;
  }

  /** Nothing is said before the plan is in the ledger, word for word, and the quorum has cosigned that it is. */
  #checkWitnessed(): void {
    if (this.#isInLedger) return; // which only grows
    const entry = this.#world.store.planEntry(this.id);
    const isPlan = entry !== undefined && canonicalize({ ...entry, ...planEntry(this.plan) }) === canonicalize(entry);
    if (!isPlan)
      throw new Declined('broken-promise', 'the ledger does not hold the plan, or says something else of it');
    if (entry.seq >= witnessedSize(this.#world.store, this.id))
      throw new Declined('broken-promise', 'the task begins before the quorum has cosigned its plan');
    this.#checkAccepted();
    this.#isInLedger = true;
  }

  /** What this tenant pays can be counted again from the ledger alone, should its store be lost. */
  #checkAccepted(): void {
    const { store, policy, identity } = this.#world;
    const entry = store.acceptEntry(this.id, policy.tenant);
    const isMine =
      entry?.kind === 'accept' &&
      isSignedBy(
        identity.publicKey,
        answerDigest(policy.tenant, { type: 'accept', task: this.id, round: 0, dataset: entry.dataset }),
        Buffer.from(entry.signature, 'hex'),
      );
    if (!isMine) throw new Declined('broken-promise', 'the ledger does not hold this tenant’s acceptance of the task');
  }

  async #answerKeying(ask: Ask): Promise<Answer | undefined> {
    const stage = stageNamed(this.#protocol.keying, ask.stage);
    if (stage === 0) await this.#beginEpoch(ask);
    const epoch = this.#epoch;
    if (epoch === undefined || epoch.number !== ask.epoch) return undefined;
    const heard = this.#verified(ask, epoch.ledger, this.#protocol.keying, stage, this.#keyingHeard);
    const said = await epoch.keys.key(stage, heard);
    return this.#signed(ask, epoch.ledger, said, this.#keyingHeard);
  }

  /** The members' confirmations: from here on rounds can be held. @throws ProtocolBroken when two of them differ */
  async keyed(message: Keyed): Promise<void> {
    const epoch = this.#epoch;
    if (epoch === undefined || epoch.number !== message.epoch || epoch.keyed) return;
    const stages = this.#protocol.keying;
    const ask = { ...message, round: 0, model: '', stage: 'keyed', attempt: 1 };
    await epoch.keys.keyed(this.#verified(ask, epoch.ledger, stages, stages.length, this.#keyingHeard));
    epoch.keyed = true;
  }

  async #beginEpoch(ask: Ask): Promise<void> {
    if (ask.epoch <= (this.#epoch?.number ?? 0))
      throw new Declined('broken-promise', `epoch ${ask.epoch} was begun before`);
    this.#forgetEpoch();
    this.#keyingHeard.clear();
    this.#checkCohort(ask.members);
    const ledger = this.#ledgerAt(ask);
    const transcript = transcriptOf(this.#occasion({ ...ask, round: 0, model: '' }, ledger));
    const shape = shapeOf(this.plan);
    const me = this.#world.policy.tenant;
    const keys = await this.#protocol.tenant({ shape, members: ask.members, me, transcript });
    const keyed = this.#protocol.keying.length === 0;
    this.#epoch = { number: ask.epoch, parties: ask.members, keys, ledger, keyed };
  }

  /**
   * The ledger's head that a conversation begins with, as this tenant has verified it. It goes into every signature, so
   * tenants that are shown two ledgers cannot hear each other.
   */
  #ledgerAt({ head }: Ask): string {
    if (this.#world.store.ledgerHashAt(head.size) !== head.hash)
      throw new Declined('broken-promise', 'the conversation begins with another ledger than this tenant was shown');
    return head.hash;
  }

  async #answerRound(ask: Ask): Promise<Answer | undefined> {
    if (this.#protocol.keying.length === 0 && this.#epoch?.number !== ask.epoch) await this.#beginEpoch(ask);
    const epoch = this.#epoch;
    if (epoch?.number !== ask.epoch || !epoch.keyed) return undefined; // no keys of this epoch: after a restart, say
    const index = stageNamed(this.#protocol.summing, ask.stage);
    const stage = this.#protocol.summing[index]!;
    const round = this.#roundOf(ask, epoch);
    if (round === undefined) return undefined;
    const heard = this.#verified(ask, round.ledger, this.#protocol.summing, index, round.heard);
    if (this.#isLastBeforeVector(index)) round.vector ??= this.#vectorAfterThisTurn();
    const said = await this.#say(ask, stage, index, round, heard);
    return this.#signed(ask, round.ledger, said, round.heard);
  }

  #roundOf(ask: Ask, epoch: Epoch): Round | undefined {
    if (this.#round?.number === ask.round) return this.#round;
    if (stageNamed(this.#protocol.summing, ask.stage) !== 0) return undefined; // it began without this tenant
    const model = progressHash(this.plan, this.#progress, roundsOf(this.plan));
    if (ask.model !== model)
      throw new Declined('broken-promise', `round ${ask.round} starts from a model that this tenant did not compute`);
    this.#checkUnanswered(ask.round);
    const ledger = this.#ledgerAt(ask);
    const protocol = epoch.keys.round(transcriptOf(this.#occasion(ask, ledger)));
    const startedAt = this.#world.clock();
    const nothing = { vector: undefined, heard: new Map(), cohort: [], agreed: undefined };
    this.#round = { number: ask.round, startedAt, protocol, ledger, ...nothing };
    this.#answers.clear();
    return this.#round;
  }

  #isLastBeforeVector(index: number): boolean {
    const contribute = this.#protocol.summing.findIndex(({ gate }) => gate === 'contribute');
    return index === Math.max(0, contribute - 1);
  }

  #vectorAfterThisTurn(): Promise<Noised> {
    const vector = afterThisTurn().then(() => this.#vector());
    vector.catch(() => {}); // awaited where it is used; a round that ends before must not leave a rejection unhandled
    return vector;
  }

  #checkUnanswered(round: number): void {
    if (round <= this.#world.store.lastRound(this.id))
      throw new Declined('broken-promise', `round ${round} was answered before; a retry must be a new round`);
  }

  /** Fresh noise for every round, a retry included: the share that was drawn is used up here, and the next one asked for. */
  async #vector(): Promise<Noised> {
    const { parameters } = this.#progress;
    const asked = this.#noise;
    this.#noise = this.#askForNoise();
    const noise = await asked; // before the batch is drawn: how long it took must not depend on data
    const { backend, random } = this.#world;
    return contribution(this.plan, this.#customers, parameters, noise, { backend, random });
  }

  async #say(ask: Ask, stage: Stage, index: number, round: Round, heard: HeardAll): Promise<Said> {
    switch (stage.gate) {
      case 'prepare':
        return round.protocol.prepare(index, heard);
      case 'contribute':
        return this.#contribute(index, round, heard);
      case 'agree':
        return this.#agree(round, heard);
      case 'open':
        return this.#open(ask, round, heard);
    }
  }

  async #contribute(index: number, round: Round, heard: HeardAll): Promise<Said> {
    const cohort = index === 0 ? this.plan.roster.map(({ tenant }) => tenant) : [...heard.keys()].sort();
    this.#checkCohort(cohort);
    this.#checkUnanswered(round.number);
    round.cohort = cohort;
    const values = await round.vector!;
    const sealed = await round.protocol.contribute(values, heard);
    this.#refusing('budget', () => payRound(this.#world, this.plan, round.number, cohortHash(cohort)));
    await this.#uploadTime(round.startedAt);
    return sealed;
  }

  /** Contributions leave at whole multiples of `uploadEveryMs`: when one arrives says nothing about how long the batch took. */
  async #uploadTime(startedAt: number): Promise<void> {
    const { uploadEveryMs } = this.plan.settings.timing;
    const elapsed = this.#world.clock() - startedAt;
    await this.#world.sleep(uploadEveryMs - (elapsed % uploadEveryMs));
  }

  /** Of the cohort joined some may be lost. Who is left is agreed to once, durable before the word leaves. */
  async #agree(round: Round, contributions: HeardAll): Promise<Said> {
    const { store } = this.#world;
    const answered = store.round(this.id, round.number);
    const survivors = [...contributions.keys()].sort();
    if (answered?.cohort !== cohortHash(round.cohort) || survivors.some((tenant) => !round.cohort.includes(tenant)))
      throw new Declined('broken-promise', `round ${round.number}: asked to agree to tenants that never joined it`);
    this.#checkCohort(survivors);
    const sumHash = hex(await round.protocol.sumHash(contributions));
    if (answered.sumHash !== '' && answered.sumHash !== sumHash)
      throw new Declined('broken-promise', `round ${round.number}: asked to agree to a second set of tenants`);
    store.commit(() => store.setRound(this.id, round.number, { ...answered, sumHash }));
    round.agreed = contributions;
    return round.protocol.agree(contributions);
  }

  async #open(ask: Ask, round: Round, heard: HeardAll): Promise<Said> {
    const { store } = this.#world;
    const answered = store.round(this.id, round.number);
    const contributions = round.agreed ?? heard;
    const cohort = [...contributions.keys()].sort();
    // the very cohort joined, unless what is left of it was agreed to
    if (answered === undefined || (round.agreed === undefined && answered.cohort !== cohortHash(cohort)))
      throw new Declined(
        'broken-promise',
        `round ${round.number}: asked to open a sum over another cohort than the one joined`,
      );
    this.#checkCohort(cohort);
    const sumHash = hex(await round.protocol.sumHash(contributions));
    const openers = round.agreed === undefined ? this.#openersIn(ask) : this.#agreeing(ask, heard, sumHash);
    this.#checkCharged(round.number, sumHash, cohort.length);
    const set = openers.join(',');
    if (answered.sumHash !== '' && answered.sumHash !== sumHash)
      throw new Declined('broken-promise', `round ${round.number}: asked to open a second sum`);
    if (answered.openerSets.includes(set) || answered.openerSets.length >= MAX_OPENER_SETS)
      throw new Declined('broken-promise', `round ${round.number}: asked to open the same sum too often`);
    // durable before the share leaves
    store.commit(() =>
      store.setRound(this.id, round.number, { ...answered, sumHash, openerSets: [...answered.openerSets, set] }),
    );
    return round.protocol.open(contributions, openers);
  }

  #openersIn({ openers, round }: Ask): TenantId[] {
    const { needed } = this.#protocol.opening(shapeOf(this.plan));
    if (openers.length !== needed || !openers.includes(this.#world.policy.tenant))
      throw new Declined('broken-promise', `round ${round}: the set of openers is not the plan's`);
    return [...openers].sort();
  }

  /** A quorum signed the very same survivors: no other set finds one. Whom nobody compared fingerprints with does not count. */
  #agreeing({ round }: Ask, heard: HeardAll, sumHash: string): TenantId[] {
    const { threshold } = this.plan.derived;
    const others = [...heard].find(([, { open }]) => hex(open) !== sumHash);
    if (others !== undefined)
      throw new Declined('broken-promise', `round ${round}: ${others[0]} agreed to other survivors than this tenant`);
    const counted = [...heard.keys()].filter((tenant) => this.#pinned.has(tenant)).length;
    // lost, not broken: in the next round they may be back
    if (counted < threshold)
      throw new ProtocolBroken(`round ${round}: ${counted} pinned tenants agree, ${threshold} are needed`);
    return [...heard.keys()].sort();
  }

  /** A share leaves only for a sum that the ledger, as this tenant has verified it, charges to exactly this round. */
  #checkCharged(round: number, sumHash: string, contributions: number): void {
    const charge = this.#world.store.ledgerEntry(this.id, round, 'charge');
    const event = canonicalize(chargedEvent(this.plan));
    if (charge?.kind !== 'charge')
      throw new Declined('broken-promise', `round ${round}: asked to open before the ledger charges it`);
    if (this.#world.store.ledgerEntry(this.id, round, 'abort') !== undefined)
      throw new Declined('broken-promise', `round ${round}: the ledger aborted this round`);
    if (charge.sumHash !== sumHash || charge.contributions !== contributions || canonicalize(charge.event) !== event)
      throw new Declined(
        'broken-promise',
        `round ${round}: the ledger charges another sum, or another event, than is to be opened`,
      );
  }

  /** n_min counts pinned tenants alone: everybody else is a colluder. */
  #checkCohort(cohort: readonly TenantId[]): void {
    const { minCohort } = this.plan.settings.secureSum;
    if (!cohort.includes(this.#world.policy.tenant))
      throw new Declined('broken-promise', 'asked to take part in a cohort without this tenant');
    const counted = new Set(cohort.filter((tenant) => this.#pinned.has(tenant))).size;
    if (counted < minCohort)
      throw new Declined('policy', `the cohort holds ${counted} pinned tenants, the plan promises ${minCohort}`);
  }

  // ---- statements

  /** What was said before, after every signature has been checked against this tenant's own view of the round. */
  #verified(
    ask: Pick<Ask, 'epoch' | 'round' | 'model' | 'stage' | 'heard'>,
    ledger: string,
    stages: readonly Stage[],
    index: number,
    heardBefore: ReadonlyMap<string, Uint8Array>,
  ): HeardAll {
    if (index === 0) {
      if (ask.heard.length > 0) throw new Declined('broken-promise', 'statements before anyone was asked');
      return new Map();
    }
    const { name: previous } = stages[index - 1]!;
    const heard = heardBefore.get(previous);
    if (heard === undefined)
      throw new Declined('broken-promise', `asked for "${ask.stage}" without having been asked for "${previous}"`);
    const place: Place = { transcript: transcriptOf(this.#occasion(ask, ledger)), stage: previous, attempt: 1, heard };
    const all = new Map<TenantId, Heard>();
    for (const relayed of ask.heard as readonly Relayed[]) {
      const key = this.#keys.get(relayed.from);
      const isNew = !all.has(relayed.from);
      if (key === undefined || !isNew || !isRelayed(key, place, this.#world.policy.tenant, relayed))
        throw new Declined(
          'broken-promise',
          `a statement in the name of ${relayed.from} was not made by it, here and now`,
        );
      const { from, open, sealed, vectorHash } = relayed;
      all.set(from, { open, ...(sealed ? { sealed } : {}), ...(vectorHash ? { vectorHash } : {}) });
    }
    return all;
  }

  #signed(ask: Ask, ledger: string, said: Said, heardBefore: Map<string, Uint8Array>): Answer {
    const heard = ask.heard.length === 0 ? NOTHING_HEARD : heardHash(ask.heard as readonly Relayed[]);
    heardBefore.set(ask.stage, heard);
    const place: Place = {
      transcript: transcriptOf(this.#occasion(ask, ledger)),
      stage: ask.stage,
      attempt: ask.attempt,
      heard,
    };
    const signature = signStatement(this.#world.identity, this.#world.policy.tenant, place, said);
    const { task, epoch, round, stage, attempt } = ask;
    const where = { task, epoch, round, stage, attempt };
    const say: Answer['say'] = { type: 'say', ...where, open: said.open, sealed: [...said.sealed], signature };
    return said.vector === undefined ? { say } : { say, vector: said.vector };
  }

  #occasion({ epoch, round, model }: Pick<Ask, 'epoch' | 'round' | 'model'>, ledger: string): Occasion {
    const { federation, roster } = this.plan;
    return { federation, roster: rosterHash(roster), task: this.id, epoch, round, model, ledger };
  }

  #refusing(cause: DeclineCause, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (isStorageError(error)) throw error;
      throw new Declined(cause, (error as Error).message);
    }
  }
}

/** When everything that is to be sent in this turn has been handed to the connection. */
const afterThisTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** "Losing one means a new T′ for the same sum with fresh smudging, at most twice": two sets in all. */
const MAX_OPENER_SETS = 2;

const cohortHash = (cohort: readonly TenantId[]): string => hex(digest('parley/cohort/v1', ...[...cohort].sort()));

function stageNamed(stages: readonly Stage[], name: string): number {
  const index = stages.findIndex((stage) => stage.name === name);
  if (index < 0) throw new Declined('broken-promise', `there is no stage "${name}" in this conversation`);
  return index;
}
