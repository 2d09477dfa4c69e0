import type { TenantId } from '../aggregation/secure-sum.ts';
import type { Session } from './session.ts';

/** Who is there, and who was until just now. */
export class Presence {
  readonly #clock: () => number;
  readonly #sessions = new Map<TenantId, Session>();
  /** of tenants that are not there: when their last connection ended */
  readonly #leftAt = new Map<TenantId, number>();

  /** @param clock - Unix milliseconds */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  tenants(): ReadonlySet<TenantId> {
    return new Set(this.#sessions.keys());
  }

  sessions(): Iterable<Session> {
    return this.#sessions.values();
  }

  /** The newest, and the only one that is heard. */
  of(tenant: TenantId): Session | undefined {
    return this.#sessions.get(tenant);
  }

  /** Those that are there, and those whose connection ended less than `ms` ago: it may come back. */
  within(ms: number): ReadonlySet<TenantId> {
    const now = this.#clock();
    const lately = [...this.#leftAt].filter(([, at]) => at > now - ms && at <= now).map(([tenant]) => tenant);
    return new Set([...this.#sessions.keys(), ...lately]);
  }

  enter(tenant: TenantId, session: Session): void {
    this.#sessions.set(tenant, session);
    this.#leftAt.delete(tenant);
  }

  /** @returns whether that was its newest connection: then the tenant is gone */
  leave(tenant: TenantId, session: Session): boolean {
    if (this.#sessions.get(tenant) !== session) return false;
    this.#sessions.delete(tenant);
    this.#leftAt.set(tenant, this.#clock());
    return true;
  }
}
