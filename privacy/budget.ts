/**
 * What may still be spent on a pool of customers.
 *
 * A pool is a set of customers that no other pool shares ('training', 'held-out'): each has its own limit, and what is
 * spent on one costs the others nothing (parallel composition). Events are held, ε is derived from all of a pool's events
 * together; ε are never added up.
 *
 *   reserve ──▶ reserved ──commit──▶ spent        before an opening, whatever becomes of it
 *                   └─────release──▶ back         for openings that will never happen
 *
 * Promise: pure, plain data, nothing is lost. What is committed stays; what is reserved counts as if it were spent; an
 * event that the accountant cannot price costs ∞ and is refused.
 *
 * Later tasks may be chosen after looking at the results of earlier ones. Composition is then proven for a Rényi order
 * fixed in advance (Feldman and Zrnic 2021, arXiv:2008.11193): a pool for which that matters pins `order` in its limit.
 */
import { z } from 'zod';
import { knownEvent, type PrivacyEvent } from './event.ts';
import { TRUNCATION_DELTA_FRACTION } from './guarantee.ts';
import { epsilonSpent, ORDERS } from './rdp.ts';

/** Serialisable as it stands. Change it only through the functions below; each returns a new one. */
export interface Budget {
  readonly pools: readonly Pool[];
}

export interface Pool {
  readonly name: string;
  readonly limit: Limit;
  readonly held: readonly Held[];
}

export interface Limit {
  readonly epsilon: number;
  /** in (0, 1) */
  readonly delta: number;
  /** the Rényi order that all comparisons use, one of `ORDERS`; the best of all when left out */
  readonly order?: number;
}

/** One event of one task, how often it is reserved and how often it has been committed. */
export interface Held {
  readonly task: string;
  readonly event: PrivacyEvent;
  readonly reserved: number;
  readonly committed: number;
}

/** Which pool pays for which event of which task, and how often. */
export interface Spending {
  readonly pool: string;
  readonly task: string;
  readonly event: PrivacyEvent;
  /** ≥ 1 */
  readonly count: number;
}

export interface WouldSpend {
  /** of everything in the pool, this included; Infinity when it cannot be priced */
  readonly epsilon: number;
  readonly allowed: boolean;
}

/** A budget in which nothing is spent. @throws RangeError when a limit is out of range or two pools share a name */
export function openBudget(limits: Readonly<Record<string, Limit>>): Budget {
  return readBudget({ pools: Object.entries(limits).map(([name, limit]) => ({ name, limit, held: [] })) });
}

/**
 * The same spending under other limits, as a tenant's policy changes. Nothing spent is forgotten: a pool that is no longer
 * named keeps its limit.
 *
 * @throws RangeError when a limit is out of range
 */
export function withLimits(from: Budget, limits: Readonly<Record<string, Limit>>): Budget {
  const held = (name: string) => from.pools.find((pool) => pool.name === name)?.held ?? [];
  const named = Object.entries(limits).map(([name, limit]) => ({ name, limit, held: held(name) }));
  return readBudget({ pools: [...named, ...from.pools.filter(({ name }) => !Object.hasOwn(limits, name))] });
}

/** A budget as it was stored. @throws RangeError when it is not one, unknown events included */
export function readBudget(json: unknown): Budget {
  const { success, data, error } = budget.safeParse(json);
  if (!success) throw new RangeError(`not a budget: ${z.prettifyError(error)}`);
  return data;
}

/**
 * What the pool would have spent after `count` more of `event`, for a new task. Asks; changes nothing.
 *
 * @throws RangeError when the pool is not in the budget
 */
export function wouldSpend(from: Budget, pool: string, event: PrivacyEvent, count: number): WouldSpend {
  const { limit, held } = poolOf(from, pool);
  return spent(limit, [...held, { task: '', event, reserved: requireCount(count), committed: 0 }]);
}

/** What the pool has spent, everything reserved included. @throws RangeError when the pool is not in the budget */
export function spentSoFar(from: Budget, pool: string): WouldSpend {
  const { limit, held } = poolOf(from, pool);
  return spent(limit, held);
}

/** @throws RangeError when the limit does not allow it, or the pool is not in the budget */
export function reserve(from: Budget, what: Spending): Budget {
  const after = move(from, what, what.count, 0);
  const { epsilon, allowed } = spentSoFar(after, what.pool);
  if (allowed) return after;
  const { limit } = poolOf(from, what.pool);
  throw new RangeError(`budget of pool ${what.pool} exceeded: epsilon would be ${epsilon} of ${limit.epsilon}`);
}

/** Reserved becomes spent, for good. @throws RangeError when less is reserved */
export function commit(from: Budget, what: Spending): Budget {
  return move(from, what, -what.count, what.count);
}

/** Reserved becomes free again: for openings that did not happen and never will. @throws RangeError when less is reserved */
export function release(from: Budget, what: Spending): Budget {
  return move(from, what, -what.count, 0);
}

function spent(limit: Limit, held: readonly Held[]): WouldSpend {
  // Each task keeps back a part of δ for cut batches (guarantee.ts). The parts add up over the tasks of a pool.
  const delta = limit.delta * (1 - new Set(held.map(({ task }) => task)).size * TRUNCATION_DELTA_FRACTION);
  const events = held.map(({ event, reserved, committed }) => repeated(event, reserved + committed));
  const { epsilon } = epsilonSpent(events, delta, limit.order === undefined ? ORDERS : [limit.order]);
  return { epsilon, allowed: epsilon <= limit.epsilon };
}

const repeated = (event: PrivacyEvent, count: number): PrivacyEvent => ({ type: 'SelfComposed', event, count });

/** Adds to what is held of one event of one task; an entry that holds nothing any more disappears. */
function move(from: Budget, what: Spending, reserved: number, committed: number): Budget {
  requireCount(what.count);
  const { held } = poolOf(from, what.pool);
  const key = JSON.stringify(what.event);
  const isIt = (entry: Held) => entry.task === what.task && JSON.stringify(entry.event) === key;
  const before = held.find(isIt) ?? { task: what.task, event: what.event, reserved: 0, committed: 0 };
  const after = { ...before, reserved: before.reserved + reserved, committed: before.committed + committed };
  if (after.reserved < 0) {
    throw new RangeError(`task ${what.task} has ${before.reserved} of this event reserved, not ${what.count}`);
  }
  const others = held.filter((entry) => !isIt(entry));
  const now = after.reserved + after.committed > 0 ? [...others, after] : others;
  return { pools: from.pools.map((pool) => (pool.name === what.pool ? { ...pool, held: now } : pool)) };
}

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

const budget: z.ZodType<Budget> = z.strictObject({
  pools: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-z0-9-]{1,64}$/),
        limit: z.strictObject({
          epsilon: z.number().positive(),
          delta: z.number().gt(0).lt(1),
          order: z
            .number()
            .refine((order) => ORDERS.includes(order), 'not one of the orders of rdp.ts')
            .exactOptional(),
        }),
        held: z.array(
          z.strictObject({ task: z.string().min(1), event: knownEvent, reserved: count, committed: count }),
        ),
      }),
    )
    .refine((pools) => new Set(pools.map(({ name }) => name)).size === pools.length, 'two pools share a name'),
});
