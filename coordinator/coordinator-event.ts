import type { TenantId } from '../aggregation/secure-sum.ts';
import type { Counted } from './counting.ts';
import type { TaskFact } from './task.ts';

/** What happens in a coordinator that somebody may want to show, log or count. Holds nothing secret. */
export type CoordinatorEvent =
  /** what is stored of it now, and was not before */
  | {
      readonly type: 'task-changed';
      readonly task: string;
      /** of the round under way, or the last; 0 before the first */
      readonly round: number;
      readonly facts: readonly TaskFact[];
    }
  | { readonly type: 'tenant-connected' | 'tenant-left'; readonly tenant: TenantId }
  | { readonly type: 'roster-changed'; readonly tenant: TenantId }
  /** what a tenant counts of its budget is not what the ledger explains */
  | ({ readonly type: 'budget-differs'; readonly tenant: TenantId } & Pick<Counted, 'pool' | 'counted' | 'stated'>)
  /** a tenant's limit is higher than what was approved, and waits for that */
  | { readonly type: 'budget-raised'; readonly tenant: TenantId; readonly pool: string }
  | { readonly type: 'refused-connection'; readonly reason: string }
  /** what a tenant said is of no use; its connection stays */
  | { readonly type: 'refused-message'; readonly tenant: TenantId; readonly about: string; readonly reason: string }
  /** this machine's clock is so far behind the ledger's last entry: time goes on from there */
  | { readonly type: 'clock-behind'; readonly ms: number }
  | { readonly type: 'task-failed'; readonly task: string; readonly error: unknown };
