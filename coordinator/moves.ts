import { chargedEvent, hex } from '../aggregation/plan.ts';
import { progressHash, released, takeIn } from '../aggregation/progress.ts';
import { ProtocolBroken, type ReceivedAll, type Stage, type TenantId } from '../aggregation/secure-sum.ts';
import { transcriptOf } from '../aggregation/transcript.ts';
import { vectorBytes } from '../aggregation/wire.ts';
import { positionOf } from '../privacy/ledger.ts';
import type { Asking } from './asking.ts';
import type { CatchingUp } from './catching-up.ts';
import { budgetsOf, isSpent } from './counting.ts';
import type { Course } from './course.ts';
import type { Epochs } from './epochs.ts';
import { type Hearing, placeOf, sorted } from './hearing.ts';
import { type Move, nextMove } from './next-move.ts';
import { inRound, type Running, type StopReason, stagesOf } from './task.ts';
import type { Telling } from './telling.ts';
import type { Uploads } from './uploads.ts';
import type { World } from './world.ts';

/** What a task's moves are made with. */
export interface MovesWorld {
  readonly course: Course;
  readonly epochs: Epochs;
  readonly hearing: Hearing;
  readonly uploads: Uploads;
  readonly telling: Telling;
  readonly asking: Asking;
  readonly catchingUp: CatchingUp;
  readonly world: World;
}

/**
 * What the coordinator does of itself, one move after the other: `nextMove` says which, here they have their effect.
 *
 *   nextMove ──▶ compute ──▶ facts, entries and sums to disk ──▶ tell
 */
export class Moves {
  readonly #with: MovesWorld;

  constructor(made: MovesWorld) {
    this.#with = made;
  }

  /** Makes moves until there is nothing to do but to wait. */
  async proceed(): Promise<void> {
    const { course, telling, asking } = this.#with;
    for (;;) {
      const move = nextMove(course.state, course.rules, telling.present(), this.#openers, this.#spent());
      if (move === undefined) return asking.tell(course.state);
      await this.#make(move);
    }
  }

  /** Ends the task early, unless it is over, or complete. What was charged stays charged. */
  stop(reason: StopReason): void {
    const { course, world } = this.#with;
    if (course.isOver || course.isComplete) return;
    course.commit([{ type: 'stopped', reason }], {
      entries: [{ kind: 'stop', reason }],
      also: () => world.store.eraseTask(course.id),
    });
    this.endFor(
      course.plan.roster.map(({ tenant }) => tenant),
      'stopped',
      reason,
    );
    world.askWitnesses(course.plan);
  }

  /** The task is over: nothing of it is kept in memory, and these tenants are told. */
  endFor(tenants: readonly TenantId[], outcome: 'finished' | 'stopped', reason: string): void {
    const { epochs, hearing, uploads, telling } = this.#with;
    epochs.forget();
    hearing.forget();
    uploads.forget();
    telling.over(tenants, outcome, reason);
  }

  #spent(): ReadonlySet<TenantId> {
    const { course, world } = this.#with;
    const budgets = budgetsOf(course.plan, world);
    return new Set([...budgets].filter(([, counted]) => isSpent(counted)).map(([tenant]) => tenant));
  }

  readonly #openers = (present: readonly TenantId[]): readonly TenantId[] =>
    this.#with.epochs.of(this.#with.course.running).openers(present);

  async #make(move: Move): Promise<void> {
    const { course, world } = this.#with;
    switch (move.type) {
      case 'stop':
        return this.stop(move.reason);
      case 'complete':
        return this.#complete();
      case 'wait':
        return course.commit([{ type: 'waiting', at: world.clock() }]);
      case 'begin-epoch':
        return this.#beginEpoch(move.members);
      case 'begin-round':
        return course.commit([
          {
            type: 'round-begun',
            round: course.running.round + 1,
            present: move.present,
            head: positionOf(world.ledger.head),
          },
        ]);
      case 'ask':
        return this.#ask(move);
      case 'abandon':
        return course.commit([inRound({ type: 'abandoned', reason: move.reason })]);
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
      const { course } = this.#with;
      const charged = course.running.conversation?.charge !== undefined;
      course.commit([inRound({ type: 'abandoned', reason: charged ? 'does-not-open' : 'protocol-broken' })]);
    }
  }

  async #beginEpoch(members: readonly TenantId[]): Promise<void> {
    const { course, epochs, hearing, world } = this.#with;
    epochs.forget();
    const epoch = course.running.epoch + 1;
    course.commit([{ type: 'epoch-begun', epoch, members, head: positionOf(world.ledger.head) }], {
      // whoever loses its keys in every round would fill the disk with everybody's dealt shares
      also: () => world.store.eraseEpochs(course.id, epoch),
    });
    hearing.forget();
    await epochs.open();
  }

  #ask({ stage, attempt, tenants, patient }: Extract<Move, { type: 'ask' }>): void {
    const { course, asking, catchingUp, world } = this.#with;
    // who has not come back since the restart is not gone: it was the coordinator that was
    const isPatient = patient || tenants.some((tenant) => catchingUp.isAwaited(tenant));
    const at = world.clock();
    course.commit([inRound({ type: 'asked', stage, attempt, asked: tenants, at, patient: isPatient })]);
    asking.begin(tenants);
  }

  async #concludeKeying(stage: Stage): Promise<void> {
    const { course, epochs, telling } = this.#with;
    await epochs.of(course.running).keyed(this.#heard(stage.name));
    course.commit([inRound({ type: 'concluded' })]);
    const state = course.running;
    telling.keyed(
      state.members.filter((tenant) => telling.caughtUp.has(tenant)),
      state,
    );
  }

  /** The charge is in the ledger before anyone is asked to open, and before the coordinator opens anything itself. */
  async #charge(stage: Stage): Promise<void> {
    const { course, epochs } = this.#with;
    const contributions = this.#heard(stage.name);
    const sumHash = hex(await epochs.of(course.running).sumHash(contributions));
    const { round } = course.running;
    const event = chargedEvent(course.plan);
    course.commit([inRound({ type: 'charged', sumHash })], {
      entries: [{ kind: 'charge', round, event, sumHash, contributions: contributions.size }],
    });
  }

  async #open(contribute: Stage, share: { stage: Stage; attempt: number } | undefined): Promise<void> {
    const { course, epochs, hearing, uploads, telling, catchingUp, world } = this.#with;
    const contributions = this.#heard(contribute.name);
    const shares = share === undefined ? new Map() : this.#heard(share.stage.name, share.attempt);
    const state = course.running;
    const record = { transcript: transcriptOf(hearing.occasion(state)), prepared: this.#prepared(state) };
    const sum = await epochs.of(state).open(contributions, shares, record);
    const progress = takeIn(course.plan, course.progress, sum);
    const { steps } = course.rules;
    const model = progressHash(course.plan, progress, steps);
    const { sumHash } = state.conversation!.charge!;
    const { round } = state;
    const opened = { round, sum: vectorBytes(sum), contributions: contributions.size, model };
    const parameters = progress.steps === steps ? released(course.plan, progress) : progress.parameters;
    course.commit([inRound({ type: 'concluded' }), { type: 'opened', sumHash, model }], {
      entries: [{ kind: 'release', round, modelHash: model, sumHash }],
      also: () => {
        world.store.putSum(course.id, opened);
        world.store.putParameters(model, vectorBytes(parameters));
        world.store.eraseRounds(course.id, round);
      },
    });
    hearing.forget();
    uploads.forget();
    course.moveOn(progress, contributions.size);
    // who has not caught up since it connected gets this one with the others it missed
    telling.opened(course.running.accepted, opened, catchingUp.next);
  }

  #prepared(state: Running): ReceivedAll[] {
    const { course, hearing } = this.#with;
    const before = stagesOf(state, course.rules).filter(({ gate }) => gate === 'prepare');
    return before.map(({ name }) => hearing.said(placeOf(state, name, 1)));
  }

  #heard(stage: string, attempt = 1): ReceivedAll {
    const { course, hearing } = this.#with;
    return sorted(hearing.said(placeOf(course.running, stage, attempt)));
  }

  /** The ledger says that the task is complete; its result counts, and is handed out, when the quorum has cosigned that. */
  #complete(): void {
    const { course, world } = this.#with;
    const { round, model } = course.running;
    course.commit([{ type: 'completed', entry: world.ledger.head.size }], {
      entries: [{ kind: 'finish', rounds: round, modelHash: model }],
      also: () => world.store.eraseTask(course.id),
    });
    world.askWitnesses(course.plan);
  }
}
