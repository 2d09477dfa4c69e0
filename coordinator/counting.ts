import { type Plan, poolOf } from '../aggregation/plan.ts';
import type { TenantId } from '../aggregation/secure-sum.ts';
import type { Stated } from '../aggregation/wire.ts';
import { WireRefused } from '../aggregation/wire-check.ts';
import { isHigher, type Limit, openBudget, standing } from '../privacy/budget.ts';
import { type LedgerEntry, NO_TASK } from '../privacy/ledger.ts';
import { type AcceptedTask, budgetAfter, followSpending } from '../privacy/ledger-spending.ts';
import type { LedgerLog } from './ledger-log.ts';
import type { EventStore } from './store/event-store.ts';

/**
 * The coordinator's own count of every tenant's budget, beside what the tenant states.
 *
 *   ledger ──▶ tasks this tenant accepted ──▶ the tenant's own arithmetic (`privacy/budget.ts`) ──▶ counted
 *   tenant ──▶ standing ──▶ stated                                   does the ledger explain the difference? ──▶ agrees
 *                  └──▶ limit ──▶ new, and nobody else is asked? ──▶ ledger
 *
 * The tenant's count is the one that counts: what it cannot pay it does not do. Where the ledger cannot explain it, one of
 * the two has lost something, and people have to look.
 */
export interface Counting {
  /**
   * Takes in what a tenant states.
   *
   * @param accepted - tasks that it has accepted by its own word; the ledger may not have it yet
   * @throws WireRefused when no budget is like that
   */
  hear(tenant: TenantId, stated: Stated, accepted?: ReadonlySet<string>): Counted;
  /** What a tenant stated last of a pool. */
  last(tenant: TenantId, pool: string): Counted | undefined;
  /** The same of every tenant and pool. */
  all(): readonly (Counted & { readonly tenant: TenantId })[];
  /** Limits that are higher than what the ledger has, and wait for people to approve them. */
  raises(): readonly Raise[];
  /**
   * Writes a raise to the ledger: from now on it counts.
   * @param also - in the same transaction, first
   */
  allow(raise: Raise, also: () => void): void;
}

/**
 * A limit that a tenant has raised where its federation asks more than one person for that. Until they have approved it, the tenant
 * takes part in the tasks it had accepted, and its acceptance of others is not heard.
 *
 * The limit is what the tenant's client states. This stops whoever changes a policy file alone; a client that states one limit and keeps
 * another spends nobody's budget but its own.
 */
export interface Raise {
  readonly tenant: TenantId;
  readonly pool: string;
  /** as stated */
  readonly to: Limit;
  /** as the ledger has it */
  readonly from: Limit;
}

export interface Counted {
  readonly pool: string;
  /** lifetime ε by the ledger, all its tasks' charged openings; what runs is set aside whole. 'infinite' when it has no price */
  readonly counted: number | 'infinite';
  /** lifetime ε and its limit, as the tenant states them */
  readonly stated: number;
  readonly limit: number;
  readonly delta: number;
  /** the ledger explains what is stated */
  readonly agrees: boolean;
}

/** By its own words this tenant's customers can pay for no further opening. */
export const isSpent = ({ stated, limit }: Pick<Counted, 'stated' | 'limit'>): boolean => stated > limit;

/** Where a plan's tenants stand with the pool that pays for it; those that have stated it. */
export function budgetsOf(
  plan: Plan,
  { counted }: { counted(tenant: TenantId, pool: string): Counted | undefined },
): ReadonlyMap<TenantId, Counted> {
  const pool = poolOf(plan);
  return new Map(
    plan.roster.flatMap(({ tenant }) => {
      const found = counted(tenant, pool);
      return found === undefined ? [] : [[tenant, found] as const];
    }),
  );
}

/** @param clock - Unix ms */
export function openCounting(store: EventStore, ledger: LedgerLog, clock: () => number): Counting {
  const known = new Map<string, Counted>(
    store.standings().map(({ tenant, pool, text }) => [`${tenant}/${pool}`, JSON.parse(text) as Counted]),
  );
  const limits = new Map<string, Limit>();
  const spending = followSpending();
  let needed = 1;

  function catchUp(): void {
    for (const text of store.ledger(spending.size)) {
      const entry = JSON.parse(text) as LedgerEntry;
      spending.see(entry);
      if (entry.kind === 'budget') limits.set(`${entry.tenant}/${entry.pool}`, entry);
      if (entry.kind === 'approval-rule') needed = entry.approvals;
    }
  }

  const all = (): (Counted & { readonly tenant: TenantId })[] =>
    [...known].map(([place, counted]) => ({ tenant: place.slice(0, place.indexOf('/')), ...counted }));

  const waits = (limit: Limit, from: Limit | undefined): from is Limit =>
    needed > 1 && from !== undefined && isHigher(limit, from);

  return {
    last: (tenant, pool) => known.get(`${tenant}/${pool}`),
    all,
    raises() {
      catchUp();
      return all().flatMap(({ tenant, pool, limit: epsilon, delta }) => {
        const [from, to] = [limits.get(`${tenant}/${pool}`), { epsilon, delta }];
        return waits(to, from) ? [{ tenant, pool, to, from: { epsilon: from.epsilon, delta: from.delta } }] : [];
      });
    },
    allow: ({ tenant, pool, to }, also) =>
      ledger.commit(() => {
        also();
        ledger.append(limitEntry(tenant, pool, to), NO_TASK, clock());
      }),
    hear(tenant, stated, accepted = new Set()) {
      catchUp();
      const place = `${tenant}/${stated.pool}`;
      const accepting = new Set([...accepted, stated.task]);
      const tasks = spending.tasksOf(tenant, stated.ledger, accepting).filter(({ pool }) => pool === stated.pool);
      const counted = compared(stated, tasks, clock());
      const limit = { epsilon: stated.limit, delta: stated.delta };
      const before = limits.get(place);
      const isNewLimit = before?.epsilon !== limit.epsilon || before.delta !== limit.delta;
      const isWritten = isNewLimit && !waits(limit, before);
      if (isWritten && ledger.countAbout(tenant, ['budget'], clock() - DAY) >= MOST_CHANGES)
        throw new WireRefused(`limits change ${MOST_CHANGES} times a day at most`);
      ledger.commit(() => {
        store.putStanding(tenant, stated.pool, JSON.stringify(counted));
        if (isWritten) ledger.append(limitEntry(tenant, stated.pool, limit), NO_TASK, clock());
      });
      known.set(place, counted);
      return counted;
    },
  };
}

/** Every change is an entry that all tenants keep for good. */
const MOST_CHANGES = 24;
const DAY = 24 * 60 * 60 * 1000;

const limitEntry = (tenant: TenantId, pool: string, { epsilon, delta }: Limit) =>
  ({ kind: 'budget', tenant, pool, epsilon, delta }) as const;

/** Two machines agree on the same arithmetic to this, relative. */
const TOLERANCE = 1e-6;

function compared(stated: Stated, tasks: readonly AcceptedTask[], now: number): Counted {
  const { pool, epsilon, limit, delta } = stated;
  const epsilonFor = (paid: (task: AcceptedTask) => number): number =>
    standing(budgetAfter(budgetOf(stated), tasks, paid, now), pool, now).epsilon;
  const counted = epsilonFor(({ charged }) => charged);
  const least = epsilonFor(({ certain }) => certain);
  const most = epsilonFor(({ possible }) => possible);
  const agrees = epsilon >= least * (1 - TOLERANCE) && epsilon <= most * (1 + TOLERANCE);
  return { pool, counted: Number.isFinite(counted) ? counted : 'infinite', stated: epsilon, limit, delta, agrees };
}

function budgetOf({ pool, limit, delta, order }: Stated) {
  try {
    return openBudget({ [pool]: { epsilon: limit, delta, order } });
  } catch (error) {
    if (error instanceof RangeError) throw new WireRefused(`no budget is like that: ${error.message}`);
    throw error;
  }
}
