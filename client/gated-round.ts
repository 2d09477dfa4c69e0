import { chargedEvent, hex, type Plan, shapeOf } from '../aggregation/plan.ts';
import { protocolNamed } from '../aggregation/protocols.ts';
import {
  type HeardAll,
  ProtocolBroken,
  type Said,
  type SecureSum,
  type TenantId,
  type TenantRound,
} from '../aggregation/secure-sum.ts';
import { digest } from '../aggregation/transcript.ts';
import type { Noised } from '../privacy/steps.ts';
import type { ClientStore } from './client-store.ts';
import { Declined, declining } from './declined.ts';
import type { ClientWorld } from './participant.ts';
import { payRound } from './spending.ts';
import { checkCharged } from './task-ledger.ts';

/**
 * One round of a secure sum at this tenant, behind the gates that its stages name (`aggregation/secure-sum.ts`).
 *
 *   contribute   enough pinned tenants? not answered before? ──▶ paid, durably ──▶ the vector, at its time
 *   agree        of the cohort joined? no other set before?  ──▶ durable       ──▶ whose sum may be opened
 *   open         that sum? charged in the ledger? its openers, at most twice? ──▶ durable ──▶ the share
 *
 * What was answered is in the store before the answer leaves: a crash may cost budget, never privacy.
 */
export class GatedRound {
  readonly number: number;
  readonly #plan: Plan;
  readonly #task: string;
  readonly #world: ClientWorld;
  readonly #pinned: ReadonlySet<TenantId>;
  readonly #protocol: SecureSum;
  readonly #sum: TenantRound;
  readonly #draw: () => Promise<Noised>;
  readonly #startedAt: number;
  #vector: Promise<Noised> | undefined;
  /** whom this tenant contributed with */
  #cohort: readonly TenantId[] = [];
  /** what this tenant has agreed to open, where there is a stage for it */
  #agreed: HeardAll | undefined;

  constructor({ number, plan, task, world, pinned, sum, draw }: Beginning) {
    this.number = number;
    this.#plan = plan;
    this.#task = task;
    this.#world = world;
    this.#pinned = pinned;
    this.#protocol = protocolNamed(plan.settings.secureSum.protocol);
    this.#sum = sum;
    this.#draw = draw;
    this.#startedAt = world.clock();
  }

  /**
   * What this tenant says in a stage, if the stage's gate lets it.
   *
   * @param index - of the stage, among the protocol's `summing`
   * @param heard - what was said in the stage before, verified (`conversation.ts`)
   * @param openers - whom the coordinator asks to open, where it chooses them
   * @throws Declined, ProtocolBroken
   */
  async say(index: number, heard: HeardAll, openers: readonly TenantId[]): Promise<Said> {
    if (this.#isLastBeforeVector(index)) this.#vector ??= this.#draw();
    switch (this.#protocol.summing[index]!.gate) {
      case 'prepare':
        return this.#sum.prepare(index, heard);
      case 'contribute':
        return this.#contribute(index, heard);
      case 'agree':
        return this.#agree(heard);
      case 'open':
        return this.#open(heard, openers);
    }
  }

  #isLastBeforeVector(index: number): boolean {
    const contribute = this.#protocol.summing.findIndex(({ gate }) => gate === 'contribute');
    return index === Math.max(0, contribute - 1);
  }

  async #contribute(index: number, heard: HeardAll): Promise<Said> {
    const cohort = index === 0 ? this.#plan.roster.map(({ tenant }) => tenant) : [...heard.keys()].sort();
    this.#checkCohort(cohort);
    checkUnanswered(this.#world.store, this.#task, this.number);
    this.#cohort = cohort;
    const values = await this.#vector!;
    const sealed = await this.#sum.contribute(values, heard);
    declining('budget', () => payRound(this.#world, this.#plan, this.number, cohortHash(cohort)));
    await this.#uploadTime();
    return sealed;
  }

  /** Contributions leave at whole multiples of `uploadEveryMs`: when one arrives says nothing about how long the batch took. */
  async #uploadTime(): Promise<void> {
    const { uploadEveryMs } = this.#plan.settings.timing;
    const elapsed = this.#world.clock() - this.#startedAt;
    await this.#world.sleep(uploadEveryMs - (elapsed % uploadEveryMs));
  }

  /** Of the cohort joined some may be lost. Who is left is agreed to once, durable before the word leaves. */
  async #agree(contributions: HeardAll): Promise<Said> {
    const { store } = this.#world;
    const answered = store.round(this.#task, this.number);
    const survivors = [...contributions.keys()].sort();
    if (answered?.cohort !== cohortHash(this.#cohort) || survivors.some((tenant) => !this.#cohort.includes(tenant)))
      throw this.#broken('asked to agree to tenants that never joined it');
    this.#checkCohort(survivors);
    const sumHash = hex(await this.#sum.sumHash(contributions));
    if (answered.sumHash !== '' && answered.sumHash !== sumHash)
      throw this.#broken('asked to agree to a second set of tenants');
    store.commit(() => store.setRound(this.#task, this.number, { ...answered, sumHash }));
    this.#agreed = contributions;
    return this.#sum.agree(contributions);
  }

  async #open(heard: HeardAll, asked: readonly TenantId[]): Promise<Said> {
    const { store } = this.#world;
    const answered = store.round(this.#task, this.number);
    const contributions = this.#agreed ?? heard;
    const cohort = [...contributions.keys()].sort();
    // the very cohort joined, unless what is left of it was agreed to
    if (answered === undefined || (this.#agreed === undefined && answered.cohort !== cohortHash(cohort)))
      throw this.#broken('asked to open a sum over another cohort than the one joined');
    this.#checkCohort(cohort);
    const sumHash = hex(await this.#sum.sumHash(contributions));
    const openers = this.#agreed === undefined ? this.#openersIn(asked) : this.#agreeing(heard, sumHash);
    const due = { sumHash, contributions: cohort.length, event: chargedEvent(this.#plan) };
    checkCharged(store, this.#task, this.number, due);
    const set = openers.join(',');
    if (answered.sumHash !== '' && answered.sumHash !== sumHash) throw this.#broken('asked to open a second sum');
    if (answered.openerSets.includes(set) || answered.openerSets.length >= MAX_OPENER_SETS)
      throw this.#broken('asked to open the same sum too often');
    // durable before the share leaves
    store.commit(() =>
      store.setRound(this.#task, this.number, { ...answered, sumHash, openerSets: [...answered.openerSets, set] }),
    );
    return this.#sum.open(contributions, openers);
  }

  #openersIn(asked: readonly TenantId[]): TenantId[] {
    const { needed } = this.#protocol.opening(shapeOf(this.#plan));
    if (asked.length !== needed || !asked.includes(this.#world.policy.tenant))
      throw this.#broken("the set of openers is not the plan's");
    return [...asked].sort();
  }

  /** A quorum signed the very same survivors: no other set finds one. Whom nobody compared fingerprints with does not count. */
  #agreeing(heard: HeardAll, sumHash: string): TenantId[] {
    const { threshold } = this.#plan.derived;
    const others = [...heard].find(([, { open }]) => hex(open) !== sumHash);
    if (others !== undefined) throw this.#broken(`${others[0]} agreed to other survivors than this tenant`);
    const counted = [...heard.keys()].filter((tenant) => this.#pinned.has(tenant)).length;
    // lost, not broken: in the next round they may be back
    if (counted < threshold)
      throw new ProtocolBroken(`round ${this.number}: ${counted} pinned tenants agree, ${threshold} are needed`);
    return [...heard.keys()].sort();
  }

  #checkCohort(cohort: readonly TenantId[]): void {
    checkCohort(cohort, this.#plan, this.#world.policy.tenant, this.#pinned);
  }

  #broken(promise: string): Declined {
    return new Declined('broken-promise', `round ${this.number}: ${promise}`);
  }
}

/** What a round begins with. */
interface Beginning {
  /** from 1; never one that this tenant has answered */
  readonly number: number;
  readonly plan: Plan;
  /** the plan's hash */
  readonly task: string;
  readonly world: ClientWorld;
  /** the tenants of the roster that count (`policy.ts`) */
  readonly pinned: ReadonlySet<TenantId>;
  /** the mathematics, without a gate */
  readonly sum: TenantRound;
  /** this tenant's vector for this round; called at most once */
  readonly draw: () => Promise<Noised>;
}

/** n_min counts pinned tenants alone: everybody else is a colluder. @throws Declined when they are fewer, or `me` is not among them */
export function checkCohort(
  cohort: readonly TenantId[],
  plan: Plan,
  me: TenantId,
  pinned: ReadonlySet<TenantId>,
): void {
  const { minCohort } = plan.settings.secureSum;
  if (!cohort.includes(me)) throw new Declined('broken-promise', 'asked to take part in a cohort without this tenant');
  const counted = new Set(cohort.filter((tenant) => pinned.has(tenant))).size;
  if (counted < minCohort)
    throw new Declined('policy', `the cohort holds ${counted} pinned tenants, the plan promises ${minCohort}`);
}

/** @throws Declined when this tenant has contributed to the round, or to a later one, before */
export function checkUnanswered(store: ClientStore, task: string, round: number): void {
  if (round <= store.lastRound(task))
    throw new Declined('broken-promise', `round ${round} was answered before; a retry must be a new round`);
}

/** "Losing one means a new T′ for the same sum with fresh smudging, at most twice": two sets in all. */
const MAX_OPENER_SETS = 2;

const cohortHash = (cohort: readonly TenantId[]): string => hex(digest('parley/cohort/v1', ...[...cohort].sort()));
