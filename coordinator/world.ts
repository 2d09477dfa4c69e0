import type { Plan } from '../aggregation/plan.ts';
import type { TenantId } from '../aggregation/secure-sum.ts';
import type { FromCoordinator } from '../aggregation/wire.ts';
import type { Counted } from './counting.ts';
import type { LedgerLog } from './ledger-log.ts';
import type { EventStore } from './store/event-store.ts';
import type { TaskFact } from './task.ts';

/** What a task has of the coordinator it runs in. */
export interface World {
  readonly store: EventStore;
  readonly ledger: LedgerLog;
  /** folder for what need not fit into memory, nor outlive this process */
  readonly scratch: string;
  /** Unix milliseconds */
  readonly clock: () => number;
  /** tenants with a live connection */
  present(): ReadonlySet<TenantId>;
  /** Those, and tenants whose connection was lost less than so many milliseconds ago: they are about to be back. */
  presentWithin(ms: number): ReadonlySet<TenantId>;
  /** Sends to a tenant if it is connected, with the ledger entries it has not seen. @param left - as `Link.send` calls it */
  send(tenant: TenantId, message: Unsent, left?: () => void): void;
  /** As `send`, for what is as long as a model: one of all tasks' at a time. @param make - as of `sendInTurn` */
  sendLong(tenant: TenantId, make: () => Unsent | undefined): void;
  /** Asks the plan's tenants that are there to cosign the ledger as it is now. */
  askWitnesses(plan: Plan): void;
  /** Where a pool of a tenant stands, counted here and stated by it; undefined before it stated anything. */
  counted(tenant: TenantId, pool: string): Counted | undefined;
  /** Does a higher limit of this tenant's pool wait for approval? Until then it takes part in no further task. */
  isRaising(tenant: TenantId, pool: string): boolean;
  /** The first note over ledger entry `seq` that the plan's quorum has cosigned. */
  witnessed(seq: number, plan: Plan): string | undefined;
  /** Told after every change that someone may want to show, with what was stored of it. */
  changed(task: string, facts: readonly TaskFact[]): void;
  /** Something is broken that no retry mends; the task has been stopped. Names no secret. */
  failed(task: string, error: unknown): void;
}

/** A message to a tenant, before the ledger news for that tenant are put in. */
export type Unsent = FromCoordinator extends infer M ? (M extends { ledger: unknown } ? Omit<M, 'ledger'> : M) : never;
