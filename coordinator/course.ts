import { type Plan, taskId } from '../aggregation/plan.ts';
import { begin, type Progress, progressHash, takeIn } from '../aggregation/progress.ts';
import { protocolNamed } from '../aggregation/protocols.ts';
import type { SecureSum, Stage } from '../aggregation/secure-sum.ts';
import { vectorFrom } from '../aggregation/wire.ts';
import type { LedgerBody } from '../privacy/ledger.ts';
import { advance } from './advance-task.ts';
import { StoreDamaged } from './store/store-damaged.ts';
import { type Running, stagesOf, type TaskFact, type TaskRules, type TaskState } from './task.ts';
import { bytesIn, proposalIn, replayed, rulesOf } from './task-facts.ts';
import type { World } from './world.ts';

/**
 * The course of one task: what has happened to it, on disk, and what that comes to, its state and its model.
 *
 *   facts + ledger entries + what belongs to them ──one transaction──▶ disk, then ──advance──▶ state
 *
 * After a restart the same facts give the same state, and the sums that were opened the same model.
 */
export class Course {
  readonly id: string;
  readonly plan: Plan;
  readonly protocol: SecureSum;
  readonly rules: TaskRules;
  /** number of the plan's ledger entry */
  readonly entry: number;
  readonly #world: World;
  #state: TaskState;
  #progress: Progress;
  #bytesUp: number;
  #lastContributions = 0;

  /**
   * Takes up a task from the store; for a new one, its `proposed` fact is already there.
   *
   * @throws StoreDamaged when facts, sums and ledger do not hold together
   */
  constructor(plan: Plan, world: World) {
    this.plan = plan;
    this.id = taskId(plan);
    this.#world = world;
    this.protocol = protocolNamed(plan.settings.secureSum.protocol);
    this.rules = rulesOf(plan, this.protocol);
    const { facts, state } = replayed(world.store, this.rules, this.id);
    this.#state = state;
    this.#bytesUp = bytesIn(facts);
    this.#progress = this.#takeUp(facts);
    this.entry = proposalIn(facts, this.id).entry;
    if (this.entry >= world.ledger.head.size)
      throw new StoreDamaged(`the ledger ends before the plan of task ${this.id}`); // half of a copy: it would be begun anew
  }

  get state(): TaskState {
    return this.#state;
  }

  /** @throws Error when it is not running */
  get running(): Running {
    if (this.#state.phase !== 'running') throw new Error(`task ${this.id} is ${this.#state.phase}, not running`);
    return this.#state;
  }

  /** The model, as far as sums were opened. */
  get progress(): Progress {
    return this.#progress;
  }

  /** Bytes tenants have said in this task so far, by its facts. */
  get bytesUp(): number {
    return this.#bytesUp;
  }

  /** Contributions in the last sum that was opened. */
  get lastContributions(): number {
    return this.#lastContributions;
  }

  get isOver(): boolean {
    return this.#state.phase === 'finished' || this.#state.phase === 'stopped';
  }

  /** Nothing is left to do but to be witnessed. */
  get isComplete(): boolean {
    return this.#state.phase === 'running' && this.#state.end !== undefined;
  }

  /** Of the conversation under way: keying, or summing; none before and after. */
  get stages(): readonly Stage[] {
    return this.#state.phase === 'running' ? stagesOf(this.#state, this.rules) : [];
  }

  /** The newest note a tenant needs: over the end when there is one, else over the plan; undefined before it is witnessed. */
  get note(): string | undefined {
    const state = this.#state;
    const end = state.phase === 'running' ? state.end : state.phase === 'finished' ? state.end : undefined;
    return this.#world.witnessed(end ?? this.entry, this.plan);
  }

  /** Facts, and what belongs to them, in one transaction; then, and only then, the state moves. */
  commit(facts: readonly TaskFact[], more: { entries?: readonly LedgerBody[]; also?: () => void } = {}): void {
    const { store, ledger, clock } = this.#world;
    const next = facts.reduce((state, fact) => advance(state, fact, this.rules), this.#state);
    ledger.commit(() => {
      for (const fact of facts) store.addFact(this.id, fact);
      for (const entry of [...(more.entries ?? []), ...this.#aborts(facts)]) ledger.append(entry, this.id, clock());
      more.also?.();
    });
    this.#state = next;
    this.#bytesUp += bytesIn(facts);
    this.#world.changed(this.id, facts);
  }

  /** @param progress - with a sum that is on disk by now */
  moveOn(progress: Progress, contributions: number): void {
    this.#progress = progress;
    this.#lastContributions = contributions;
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

  #takeUp(facts: readonly TaskFact[]): Progress {
    const start = this.#world.store.parameters(proposalIn(facts, this.id).model);
    if (start === undefined) throw new StoreDamaged(`start parameters of task ${this.id} are missing`);
    let progress = begin(vectorFrom(start, start.length / 8));
    for (const { sum, contributions } of this.#world.store.sums(this.id, 0)) {
      this.#lastContributions = contributions;
      progress = takeIn(this.plan, progress, vectorFrom(sum, this.plan.derived.dimension));
    }
    const opened = facts.filter(({ type }) => type === 'opened');
    const last = opened.at(-1) as { readonly model: string } | undefined;
    const isIt = last === undefined || progressHash(this.plan, progress, this.rules.steps) === last.model;
    if (progress.steps !== opened.length || !isIt)
      throw new StoreDamaged(`the sums of task ${this.id} do not give the model that its facts name`);
    return progress;
  }
}
