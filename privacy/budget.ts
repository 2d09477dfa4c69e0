/**
 * What may still be spent on a pool of customers.
 *
 * A pool is a set of customers that no other pool shares ('training', 'held-out'): each has its own limits, and what is
 * spent on one costs the others nothing (parallel composition). Events are held, ε is derived from all of a pool's events
 * together; ε are never added up.
 *
 *   reserve ──▶ reserved ──commit──▶ spent        before an opening, whatever becomes of it
 *                   └─────release──▶ back         for openings that will never happen
 *
 * A pool has a limit for its customers' lifetime, and may have one for each purpose and one for each month, quarter or year
 * besides. All hold at once: a new year never brings back what a lifetime has spent.
 *
 * Promise: pure, plain data, nothing is lost. What is committed stays; what is reserved counts as if it were spent; an
 * event that the accountant cannot price costs ∞ and is refused.
 *
 * Which ε is compared. The first task under a limit is fixed before anything under that limit is released: its ε is the tight
 * one. Later tasks may be chosen in view of earlier results, and composing tightly is not proven for that. From the second
 * task on it is a privacy filter that decides: the Rényi divergences of all tasks, each bounded given what came before, add up at one order
 * fixed with the limit (Feldman and Zrnic 2021, arXiv:2008.11193). A first task that only the tight ε let in, and
 * the filter would not have, leaves nothing to adapt: no other is admitted under its limit, and what it set aside stays
 * counted even if it ends early, so that no path of results leads from one proof to the other.
 */
import { z } from 'zod';
import { knownEvent, type PrivacyEvent } from './event.ts';
import { TRUNCATION_DELTA_FRACTION } from './guarantee.ts';
import { epsilonAtMost } from './pld-accountant.ts';
import { epsilonSpent, ORDERS } from './rdp.ts';

/** Serialisable as it stands. Change it only through the functions below; each returns a new one. */
export interface Budget {
  readonly pools: readonly Pool[];
}

export interface Pool {
  readonly name: string;
  readonly limits: Limits;
  readonly held: readonly Held[];
}

export interface Limit {
  readonly epsilon: number;
  /** in (0, 1) */
  readonly delta: number;
  /** the filter's Rényi order, one of `ORDERS`; `filterOrder` when left out */
  readonly order?: number;
}

/** May more be spent under the one than under the other? */
export const isHigher = (one: Limit, other: Limit): boolean => one.epsilon > other.epsilon || one.delta > other.delta;

/** The lifetime's limit; and what holds besides. */
export interface Limits extends Limit {
  readonly perPeriod?: Limit & { readonly every: Period };
  /** for each purpose; one that is not named here may spend nothing. Any purpose may spend when left out */
  readonly purposes?: Readonly<Record<string, Limit>>;
}

/** Of the calendar, in UTC. */
export type Period = 'month' | 'quarter' | 'year';

/** One event of one task, how often it is reserved and how often it has been committed. */
export interface Held {
  readonly task: string;
  readonly purpose: string;
  /** when it was first reserved, Unix ms: the period that pays */
  readonly at: number;
  readonly event: PrivacyEvent;
  readonly reserved: number;
  readonly committed: number;
}

/** Which pool pays for which event of which task, and how often. */
export interface Spending {
  readonly pool: string;
  readonly task: string;
  readonly purpose: string;
  readonly event: PrivacyEvent;
  /** ≥ 1 */
  readonly count: number;
}

/** Where a pool stands. */
export interface Standing {
  /** under the lifetime's limit; Infinity when it cannot be priced */
  readonly epsilon: number;
  /** under every limit */
  readonly allowed: boolean;
  /** limit by limit, the lifetime's first */
  readonly counts: readonly Count[];
}

export interface Count {
  readonly scope: 'lifetime' | 'period' | 'purpose';
  /** such as 2026-Q4, or the purpose; the pool for the lifetime */
  readonly name: string;
  readonly epsilon: number;
  readonly limit: number;
  readonly delta: number;
  readonly allowed: boolean;
}

/** A budget in which nothing is spent. @throws RangeError when a limit is out of range or two pools share a name */
export function openBudget(limits: Readonly<Record<string, Limits>>): Budget {
  return readBudget({ pools: Object.entries(limits).map(([name, each]) => ({ name, limits: each, held: [] })) });
}

/**
 * The same spending under other limits, as a tenant's policy changes. Nothing spent is forgotten: a pool that is no longer
 * named keeps its limits.
 *
 * @throws RangeError when a limit is out of range
 */
export function withLimits(from: Budget, limits: Readonly<Record<string, Limits>>): Budget {
  const held = (name: string) => from.pools.find((pool) => pool.name === name)?.held ?? [];
  const named = Object.entries(limits).map(([name, each]) => ({ name, limits: each, held: held(name) }));
  return readBudget({ pools: [...named, ...from.pools.filter(({ name }) => !Object.hasOwn(limits, name))] });
}

/** A budget as it was stored. @throws RangeError when it is not one, unknown events included */
export function readBudget(json: unknown): Budget {
  const { success, data, error } = budget.safeParse(json);
  if (!success) throw new RangeError(`not a budget: ${z.prettifyError(error)}`);
  return data;
}

/**
 * Where the pool would stand after this. Asks; changes nothing.
 *
 * @param now - Unix ms
 * @throws RangeError when the pool is not in the budget
 */
export function wouldSpend(from: Budget, what: Spending, now: number): Standing {
  return standing(move(from, what, what.count, 0, now), what.pool, now, what.purpose);
}

/**
 * Where the pool stands, everything reserved included.
 *
 * @param now - Unix ms
 * @param purpose - when given, that purpose's limit alone; else every purpose's that has one
 * @throws RangeError when the pool is not in the budget
 */
export function standing(from: Budget, pool: string, now: number, purpose?: string): Standing {
  const { name, limits, held } = poolOf(from, pool);
  const counts = [
    counted('lifetime', name, limits, held),
    ...periodCount(limits, held, now),
    ...purposeCounts(limits, held, purpose),
  ];
  return { epsilon: counts[0]!.epsilon, allowed: counts.every(({ allowed }) => allowed), counts };
}

/** @throws RangeError when a limit does not allow it, or the pool is not in the budget */
export function reserve(from: Budget, what: Spending, now: number): Budget {
  const after = move(from, what, what.count, 0, now);
  const exceeded = standing(after, what.pool, now, what.purpose).counts.find(({ allowed }) => !allowed);
  if (exceeded === undefined) return after;
  const { scope, name, epsilon, limit } = exceeded;
  throw new RangeError(
    `budget of pool ${what.pool} exceeded (${scope} ${name}): epsilon would be ${epsilon} of ${limit}`,
  );
}

/** Sets aside what was set aside elsewhere, whatever the limits say: a record, not a permission. @param now - Unix ms */
export function hold(from: Budget, what: Spending, now: number): Budget {
  return move(from, what, what.count, 0, now);
}

/** Reserved becomes spent, for good. @throws RangeError when less is reserved */
export function commit(from: Budget, what: Spending): Budget {
  return move(from, what, -what.count, what.count, 0);
}

/**
 * Reserved becomes free again, for openings that did not happen and never will: unless it was a first task that the filter
 * would not have let in.
 *
 * @throws RangeError when less is reserved
 */
export function release(from: Budget, what: Spending): Budget {
  const after = move(from, what, -what.count, 0, 0);
  const { limits, held } = poolOf(from, what.pool);
  const { at = 0 } = held.find(({ task }) => task === what.task) ?? {};
  const under = [
    { limit: limits, held },
    ...(limits.perPeriod ? [{ limit: limits.perPeriod, held: inPeriod(held, limits.perPeriod.every, at) }] : []),
    ...(limits.purposes
      ? [{ limit: limitFor(limits.purposes, what.purpose), held: forPurpose(held, what.purpose) }]
      : []),
  ];
  return under.every((each) => filtered(each.limit, each.held) <= each.limit.epsilon) ? after : from;
}

/** The Rényi order at which a limit leaves most room for Gaussian noise without sampling. */
export function filterOrder({ epsilon, delta }: Limit): number {
  // ρ such that ρ·α + log1p(−1/α) − log(δα)/(α − 1) = ε; see rdp.ts
  const room = (order: number) => (epsilon - Math.log1p(-1 / order) + Math.log(delta * order) / (order - 1)) / order;
  return ORDERS.reduce((best, order) => (room(order) > room(best) ? order : best));
}

/** The calendar's name for a time. @param at - Unix ms */
export function periodName(every: Period, at: number): string {
  const date = new Date(at);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  if (every === 'year') return `${year}`;
  if (every === 'quarter') return `${year}-Q${Math.floor(month / 3) + 1}`;
  return `${year}-${String(month + 1).padStart(2, '0')}`;
}

const NOTHING: Limit = { epsilon: 0, delta: 1e-300 };

const limitFor = (purposes: Readonly<Record<string, Limit>>, name: string): Limit =>
  Object.hasOwn(purposes, name) ? purposes[name]! : NOTHING;

function periodCount({ perPeriod }: Limits, held: readonly Held[], now: number): Count[] {
  if (perPeriod === undefined) return [];
  const { every } = perPeriod;
  const today = latest(held, now);
  return [counted('period', periodName(every, today), perPeriod, inPeriod(held, every, today))];
}

/** Now; or later, where more is held from later: a clock that was put back does not bring back a period that was used up. */
const latest = (held: readonly Held[], now: number): number => held.reduce((time, { at }) => Math.max(time, at), now);

function purposeCounts({ purposes }: Limits, held: readonly Held[], purpose: string | undefined): Count[] {
  if (purposes === undefined) return [];
  const names = purpose === undefined ? Object.keys(purposes) : [purpose];
  return names.map((name) => counted('purpose', name, limitFor(purposes, name), forPurpose(held, name)));
}

const forPurpose = (held: readonly Held[], name: string): Held[] => held.filter(({ purpose }) => purpose === name);

const inPeriod = (held: readonly Held[], every: Period, at: number): Held[] =>
  held.filter((each) => periodName(every, each.at) === periodName(every, at));

function counted(scope: Count['scope'], name: string, limit: Limit, held: readonly Held[]): Count {
  const isOneTask = new Set(held.map(({ task }) => task)).size <= 1;
  const epsilon = isOneTask ? tight(limit, held) : filtered(limit, held);
  return { scope, name, epsilon, limit: limit.epsilon, delta: limit.delta, allowed: epsilon <= limit.epsilon };
}

const tight = (limit: Limit, held: readonly Held[]): number => epsilonAtMost(eventsOf(held), accounted(limit, held));

const filtered = (limit: Limit, held: readonly Held[]): number =>
  epsilonSpent(eventsOf(held), accounted(limit, held), [limit.order ?? filterOrder(limit)]).epsilon;

/** Each task keeps back a part of δ for cut batches (guarantee.ts). The parts add up over the tasks. */
const accounted = ({ delta }: Limit, held: readonly Held[]): number =>
  delta * (1 - new Set(held.map(({ task }) => task)).size * TRUNCATION_DELTA_FRACTION);

const eventsOf = (held: readonly Held[]): PrivacyEvent[] =>
  held.map(({ event, reserved, committed }) => ({ type: 'SelfComposed', event, count: reserved + committed }));

/** Adds to what is held of one event of one task; an entry that holds nothing any more disappears. */
function move(from: Budget, what: Spending, reserved: number, committed: number, now: number): Budget {
  requireCount(what.count);
  const { held } = poolOf(from, what.pool);
  const key = JSON.stringify(what.event);
  const isIt = (entry: Held) => entry.task === what.task && JSON.stringify(entry.event) === key;
  const before = held.find(isIt) ?? { ...nothingHeld(what), at: latest(held, now) };
  const after = { ...before, reserved: before.reserved + reserved, committed: before.committed + committed };
  if (after.reserved < 0) {
    throw new RangeError(`task ${what.task} has ${before.reserved} of this event reserved, not ${what.count}`);
  }
  const others = held.filter((entry) => !isIt(entry));
  const all = after.reserved + after.committed > 0 ? [...others, after] : others;
  return { pools: from.pools.map((pool) => (pool.name === what.pool ? { ...pool, held: all } : pool)) };
}

const nothingHeld = ({ task, purpose, event }: Spending) => ({ task, purpose, event, reserved: 0, committed: 0 });

function poolOf(from: Budget, name: string): Pool {
  const pool = from.pools.find((candidate) => candidate.name === name);
  if (pool === undefined) throw new RangeError(`the budget has no pool ${name}`);
  return pool;
}

function requireCount(count: number): number {
  if (!(Number.isSafeInteger(count) && count >= 1)) throw new RangeError(`count must be ≥ 1, got ${count}`);
  return count;
}

const count = z.int().nonnegative();

const limit = {
  epsilon: z.number().positive(),
  delta: z.number().gt(0).lt(1),
  order: z
    .number()
    .refine((order) => ORDERS.includes(order), 'not one of the orders of rdp.ts')
    .exactOptional(),
};

/** As a policy writes them. */
export const limits: z.ZodType<Limits> = z.strictObject({
  ...limit,
  perPeriod: z.strictObject({ ...limit, every: z.enum(['month', 'quarter', 'year']) }).exactOptional(),
  purposes: z.record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/), z.strictObject(limit)).exactOptional(),
});

const budget: z.ZodType<Budget> = z.strictObject({
  pools: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-z0-9-]{1,64}$/),
        limits,
        held: z.array(
          z.strictObject({
            task: z.string().min(1),
            purpose: z.string().min(1),
            at: count,
            event: knownEvent,
            reserved: count,
            committed: count,
          }),
        ),
      }),
    )
    .refine((pools) => new Set(pools.map(({ name }) => name)).size === pools.length, 'two pools share a name'),
});
