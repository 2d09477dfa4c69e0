import type { TenantId } from '../aggregation/secure-sum.ts';
import type { Asking } from './asking.ts';
import type { Course } from './course.ts';
import type { Telling } from './telling.ts';
import type { World } from './world.ts';

/**
 * Tenants that were away, or have fallen behind: each takes in what was opened meanwhile, one sum after the other as they leave, and
 * is then told where the task stands.
 *
 *   accepts, saying how far it is ──▶ the sums after that, in order ──▶ caught up: what it is asked, or how the task ended
 */
export class CatchingUp {
  readonly #course: Course;
  readonly #telling: Telling;
  readonly #asking: Asking;
  readonly #world: World;
  readonly #inTurn: (work: () => void) => void;
  /** after a restart: those that take part and have not come back yet */
  readonly #awaited = new Set<TenantId>();

  /** @param inTurn - does it when nothing else is being done with this task */
  constructor({ course, telling, asking, world }: CatchingUpWorld, inTurn: (work: () => void) => void) {
    this.#course = course;
    this.#telling = telling;
    this.#asking = asking;
    this.#world = world;
    this.#inTurn = inTurn;
  }

  /** The coordinator is back: it was away, not they. */
  expect(tenants: readonly TenantId[]): void {
    for (const tenant of tenants) this.#awaited.add(tenant);
  }

  /** Has it not come back since the coordinator did? */
  isAwaited(tenant: TenantId): boolean {
    return this.#awaited.has(tenant);
  }

  /** @param round - of the last sum that it has taken in; it says so when it accepts */
  begin(tenant: TenantId, connection: symbol | undefined, round: number): void {
    const { state } = this.#course;
    if (!('accepted' in state) || !state.accepted.includes(tenant)) return;
    if (this.#telling.beginsToCatchUp(tenant, connection)) this.#tellMissed(tenant, connection, round);
  }

  /** A sum has left: the next one follows, where there is one. */
  readonly next = (tenant: TenantId, connection: symbol | undefined, told: number): void =>
    this.#inTurn(() => this.#tellMissed(tenant, connection, told));

  #tellMissed(tenant: TenantId, connection: symbol | undefined, round: number): void {
    if (this.#course.state.phase === 'stopped' || !this.#telling.isCatchingUp(tenant, connection)) return;
    if (this.#telling.openedAfter(tenant, round, this.next)) return;
    this.#telling.hasCaughtUp(tenant);
    this.#awaited.delete(tenant);
    this.#tellNow(tenant);
  }

  /** Where the task stands, for who knows every sum: how it ended, or what it is asked and may have missed. */
  #tellNow(tenant: TenantId): void {
    const { state, note, entry, plan } = this.#course;
    const newest = note ?? this.#world.witnessed(entry, plan);
    if (newest !== undefined) this.#telling.witnessed(tenant, newest);
    if (state.phase === 'finished') this.#telling.over([tenant], 'finished', '');
    if (state.phase !== 'running') return;
    this.#telling.keyed([tenant], state); // between rounds too: the next one asks only whom it finds with keys
    this.#asking.add(tenant);
  }
}

/** What tenants catch up with. */
export interface CatchingUpWorld {
  readonly course: Course;
  readonly telling: Telling;
  readonly asking: Asking;
  readonly world: World;
}
