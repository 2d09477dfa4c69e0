import { fingerprint } from '../../aggregation/identity.ts';
import type { LedgerVerdict } from '../../aggregation/verify-ledger.ts';
import { filterOrder } from '../../privacy/budget.ts';
import { type LedgerEntry, NO_TASK, type PlanEntry, type Sha256Hex } from '../../privacy/ledger.ts';
import { type Deviation, deviationsIn } from './deviations.ts';
import { type Exposure, exposureOf, filterEpsilon, type Spent } from './exposure.ts';
import { isIn, type Period } from './period.ts';

/**
 * A verified ledger and a period, turned into everything a report says. Pure.
 *
 *   entries ─▶ charges of each task ─▶ each task: planned, charged
 *                                  └─▶ each pool of customers, over all its tasks: in the period, over the whole ledger, planned
 *
 * A model that was released in a period rests on every opening before it. So of a task that opened, released or ended
 * anything in the period, all openings up to the period's end count, and two periods may count the same opening; the whole
 * ledger counts it once.
 *
 * Promise: ε comes from the charges, never from a claim, and a period is never shown without the whole ledger beside it.
 */
export interface ReportFigures {
  readonly period: Period;
  readonly ledger: LedgerFigures;
  /** those that the period has an entry of, in the order of their plans */
  readonly tasks: readonly TaskFigures[];
  /** of the whole ledger, in the order of their first plans */
  readonly pools: readonly PoolFigures[];
  /** in the period */
  readonly deviations: readonly Deviation[];
}

export interface LedgerFigures {
  readonly entries: number;
  /** of the Merkle tree over all entries, base64: what checkpoints have */
  readonly root: string;
  /** of the first and the last entry, Unix ms by the coordinator's clock; of an empty ledger neither */
  readonly span?: { readonly first: number; readonly last: number };
  /** the coordinator's fingerprint */
  readonly signedBy: string;
  /** everyone who was ever on a roster, with every key */
  readonly tenants: readonly { readonly tenant: string; readonly fingerprint: string }[];
  /** whose keys the reader had not brought: the coordinator, or tenants by name */
  readonly unknownKeys: readonly string[];
}

export type PlannedTask = LedgerEntry & PlanEntry;

export interface TaskFigures {
  readonly task: string;
  readonly plan: PlannedTask;
  readonly end: TaskEnd | undefined;
  /** how far the quorum of its roster has cosigned it */
  readonly witnessed: 'end' | 'plan' | 'no';
  /** tenants that took part, by name */
  readonly accepted: readonly string[];
  /** openings charged in the period */
  readonly chargesInPeriod: number;
  /** openings that what it gave in the period rests on: all of them up to its end, or none when the period saw nothing of it */
  readonly behindPeriod: number;
  /** charged openings that became a model */
  readonly releases: number;
  /** if every planned opening is used */
  readonly planned: Exposure;
  /** by the openings that were charged, up to the end of the ledger */
  readonly charged: Exposure;
}

export type TaskEnd =
  | { readonly kind: 'finish'; readonly at: number; readonly modelHash: Sha256Hex }
  | { readonly kind: 'stop'; readonly at: number; readonly reason: string };

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

/**
 * @param verdict - of an export that verifies
 * @param root - of the Merkle tree over all entries
 * @throws RangeError when the export does not verify: there is nothing to report on
 */
export function figuresOf(verdict: LedgerVerdict, root: Uint8Array, period: Period): ReportFigures {
  if (!verdict.verified) throw new RangeError('a ledger that does not verify has no figures');
  const { entries } = verdict;
  const plans = entries.filter((entry): entry is PlannedTask => entry.kind === 'plan');
  const ofTask = Map.groupBy(entries, ({ task }) => task);
  return {
    period,
    ledger: ledgerFigures(verdict, root, plans),
    tasks: plans
      .filter(({ task }) => ofTask.get(task)!.some(({ time }) => isIn(period, time)))
      .map((plan) => taskFigures(plan, ofTask.get(plan.task)!, verdict, period)),
    pools: [...Map.groupBy(plans, poolKey).values()].map((own) => poolFigures(own, entries, period)),
    deviations: deviationsIn(verdict, period),
  };
}

/** A tenant as the unit of privacy is another promise than a customer: the two are never composed. */
const poolKey = ({ pool, unit }: PlannedTask): string => `${pool}/${unit === 'tenant' ? 'tenant' : 'customer'}`;

function ledgerFigures(verdict: LedgerVerdict, root: Uint8Array, plans: readonly PlannedTask[]): LedgerFigures {
  const { entries, signedBy, unknownKeys } = verdict;
  const keys = new Map(plans.flatMap(({ roster }) => roster.map((one) => [`${one.tenant} ${one.key}`, one])));
  const [first, last] = [entries[0], entries.at(-1)];
  return {
    entries: entries.length,
    root: Buffer.from(root).toString('base64'),
    ...(first === undefined || last === undefined ? {} : { span: { first: first.time, last: last.time } }),
    signedBy,
    tenants: [...keys.values()]
      .map(({ tenant, key }) => ({ tenant, fingerprint: fingerprint(Buffer.from(key, 'hex')) }))
      .sort((a, b) => (a.tenant < b.tenant ? -1 : 1)),
    unknownKeys,
  };
}

function taskFigures(
  plan: PlannedTask,
  own: readonly LedgerEntry[],
  { tasks }: LedgerVerdict,
  period: Period,
): TaskFigures {
  const charges = own.filter(isCharge);
  const terms = { delta: plan.delta, order: orderOf(plan) };
  return {
    task: plan.task,
    plan,
    end: endOf(own),
    witnessed: tasks.find(({ task }) => task === plan.task)!.witnessed,
    accepted: own.flatMap((entry) => (entry.kind === 'accept' ? [entry.tenant] : [])),
    chargesInPeriod: charges.filter(({ time }) => isIn(period, time)).length,
    behindPeriod: behind(own, period).length,
    releases: own.filter(({ kind }) => kind === 'release').length,
    planned: exposureOf([wholePlan(plan)], terms),
    charged: exposureOf(spentBy([plan], charges), terms),
  };
}

function endOf(own: readonly LedgerEntry[]): TaskEnd | undefined {
  const end = own.find((entry) => entry.kind === 'finish' || entry.kind === 'stop');
  if (end?.kind === 'finish') return { kind: 'finish', at: end.time, modelHash: end.modelHash };
  if (end?.kind === 'stop') return { kind: 'stop', at: end.time, reason: end.reason };
  return undefined;
}

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
    inPeriod: exposureOf(spentBy(plans, behind(entries, period)), terms),
    overLife: exposureOf(overLife, terms),
    planned: exposureOf(plans.map(wholePlan), terms),
    limits: limitsOf(first.pool, overLife, entries),
  };
}

const isCharge = ({ kind }: LedgerEntry): boolean => kind === 'charge';

/** Charges up to the period's end, of tasks that it saw something of. */
function behind(entries: readonly LedgerEntry[], period: Period): LedgerEntry[] {
  const seen = entries.filter(({ kind, time }) => GIVING.includes(kind) && isIn(period, time));
  const tasks = new Set(seen.map(({ task }) => task));
  return entries.filter((entry) => isCharge(entry) && entry.time < period.to && tasks.has(entry.task));
}

/** Entries with which a task gives something away. */
const GIVING: readonly LedgerEntry['kind'][] = ['charge', 'release', 'finish'];

const wholePlan = (plan: PlannedTask): Spent => ({ task: plan.task, plan, openings: plan.mechanism.openings });

/** How often each of the plans was charged. */
export function spentBy(plans: readonly PlannedTask[], charges: readonly LedgerEntry[]): Spent[] {
  const ofTask = Map.groupBy(charges, ({ task }) => task);
  return plans.map((plan) => ({ task: plan.task, plan, openings: ofTask.get(plan.task)?.length ?? 0 }));
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

const orderOf = ({ epsilon, delta }: PlanEntry): number =>
  filterOrder({ epsilon: epsilon.coalition === 'infinite' ? Infinity : epsilon.coalition, delta });

/** The part of a task's id that people say. */
export const shortTask = (task: string): string => (task === NO_TASK ? 'no task' : task.slice(0, 8));
