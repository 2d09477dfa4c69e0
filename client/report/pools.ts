import { filterOrder } from '../../privacy/budget.ts';
import type { LedgerEntry, PlanEntry } from '../../privacy/ledger.ts';
import { type Exposure, exposureOf, filterEpsilon, type Spent } from './exposure.ts';
import { behindPeriod, isCharge, type PlannedTask, spentBy, wholePlan } from './openings.ts';
import type { Period } from './period.ts';

/** Customers that no other pool shares, and all that was ever computed on them. */
export interface PoolFigures {
  readonly pool: string;
  /** that pay from it */
  readonly tasks: readonly string[];
  /** what one customer is; several where tasks differ, and then totals hold for customers that are the same by each */
  readonly units: readonly PlanEntry['unit'][];
  /** the most that any of its plans states: tenants one customer may be a customer of */
  readonly tenantsPerCustomer: number;
  /** of all its totals: the largest that any of its plans states */
  readonly delta: number;
  /** Rényi order of its filter figures: the one for the first plan's ε, fixed before anything was opened */
  readonly order: number;
  /** everything that what was released in the period rests on */
  readonly inPeriod: Exposure;
  readonly overLife: Exposure;
  /** if every opening of every plan is used */
  readonly planned: Exposure;
  /** the newest limits that tenants told the federation */
  readonly limits: readonly {
    readonly tenant: string;
    readonly epsilon: number;
    readonly delta: number;
    /** coalition's ε of all openings of tasks that the tenant accepted, counted as this limit counts */
    readonly counted: number;
  }[];
}

/** One for each pool that a plan names, in the order of their first plans. */
export const poolsOf = (
  plans: readonly PlannedTask[],
  entries: readonly LedgerEntry[],
  period: Period,
): readonly PoolFigures[] => [...Map.groupBy(plans, poolKey).values()].map((own) => poolFigures(own, entries, period));

/** A tenant as the unit of privacy is another promise than a customer: the two are never composed. */
const poolKey = ({ pool, unit }: PlannedTask): string => `${pool}/${unit === 'tenant' ? 'tenant' : 'customer'}`;

function poolFigures(plans: readonly PlannedTask[], entries: readonly LedgerEntry[], period: Period): PoolFigures {
  const [first] = plans as [PlannedTask];
  const delta = Math.max(...plans.map((plan) => plan.delta));
  const terms = { delta, order: orderOf(first) };
  const overLife = spentBy(plans, entries.filter(isCharge));
  return {
    pool: first.pool,
    tasks: plans.map(({ task }) => task),
    units: [...new Set(plans.map(({ unit }) => unit))],
    tenantsPerCustomer: Math.max(...plans.map(({ tenantsPerCustomer }) => tenantsPerCustomer)),
    ...terms,
    inPeriod: exposureOf(spentBy(plans, behindPeriod(entries, period)), terms),
    overLife: exposureOf(overLife, terms),
    planned: exposureOf(plans.map(wholePlan), terms),
    limits: limitsOf(first.pool, overLife, entries),
  };
}

function limitsOf(pool: string, spent: readonly Spent[], entries: readonly LedgerEntry[]): PoolFigures['limits'] {
  const accepted = new Set(
    entries.flatMap((entry) => (entry.kind === 'accept' ? [`${entry.task} ${entry.tenant}`] : [])),
  );
  const told = entries.flatMap((entry) => (entry.kind === 'budget' && entry.pool === pool ? [entry] : []));
  return [...new Map(told.map((entry) => [entry.tenant, entry])).values()].map(({ tenant, epsilon, delta }) => {
    const own = spent.filter(({ task }) => accepted.has(`${task} ${tenant}`));
    return { tenant, epsilon, delta, counted: filterEpsilon(own, { delta, order: filterOrder({ epsilon, delta }) }) };
  });
}

/** A Rényi order that was fixed when the plan was. */
export const orderOf = ({ epsilon, delta }: PlanEntry): number =>
  filterOrder({ epsilon: epsilon.coalition === 'infinite' ? Infinity : epsilon.coalition, delta });
