import { createHash } from 'node:crypto';
import type { SumShape, TenantId } from './secure-sum.ts';
import { digest } from './transcript.ts';

/**
 * Who shares masks with whom. Up to 64 tenants everybody with everybody (Bonawitz et al. 2017); above, each with a few
 * (Bell et al. 2020, §3.1): a circulant graph, Harary's, over an order drawn from what all announced.
 *
 * Bell et al. draw the graph so that a coalition is *unlikely* to hold enough of one tenant's shares. Who picks its own keys
 * last, as a coordinator and its tenants may, could draw again until the graph suits it. So nothing secret rests on the
 * draw here: `threshold` is more than a coalition can ever hold, and the graph falls apart only when more tenants are gone
 * than a round survives. Chance decides one thing alone, whether a round that loses tenants can be opened.
 */
export interface Neighbourhood {
  /** neighbours of each tenant; even, or everybody else */
  readonly degree: number;
  /** shares that determine a tenant's secrets; its own share counts */
  readonly threshold: number;
}

/** Everybody with everybody up to here. */
export const MOST_COMPLETE = 64;

/** A round that keeps its minimum cohort to the end fails to open with at most 2^−this, for all tenants together. */
const FAILURE_BITS = 20n;

/**
 * @param present - tenants that announced keys: n_min to N
 *
 * With g = present − n_min tenants that may be gone, or never were pinned by anybody, and c that collude: a coalition holds
 * at most g + c shares of a tenant, and takes at most g + c tenants out of the graph. A circulant graph of degree k stays
 * connected as long as fewer than k are taken out (Harary 1962), so both hold with g + c < threshold ≤ degree.
 */
export function neighbourhood(present: number, { threshold, minCohort, colluders }: SumShape): Neighbourhood {
  const complete = { degree: present - 1, threshold };
  if (present <= MOST_COMPLETE) return complete;
  const gone = present - minCohort;
  for (let degree = 2; degree < present - 1; degree += 2) {
    // half of the neighbours and one more, as in Bell et al., or more than a coalition holds
    const needed = Math.max(degree / 2, gone + colluders) + 1;
    if (needed <= degree && survives(present, gone, degree, needed)) return { degree, threshold: needed };
  }
  return complete;
}

/**
 * The least degree that keeps whoever is left connected: as `neighbourhood`'s, where no shares are handed to neighbours and
 * so nothing is left to chance.
 *
 * @param present - tenants in the graph, n_min to N; g + c of them may be gone, unpinned or colluding
 */
export function connectedDegree(present: number, { minCohort, colluders }: SumShape): number {
  if (present <= MOST_COMPLETE) return present - 1;
  const out = Math.max(0, present - minCohort) + colluders;
  return Math.min(present - 1, 2 * Math.floor(out / 2) + 2); // the next even number
}

/** Is it unlikely that, of any tenant's neighbours, fewer than `needed` are left? Exact: everyone must come to the same graph. */
function survives(present: number, gone: number, degree: number, needed: number): boolean {
  const others = present - 1;
  let ways = 0n;
  for (let lost = degree - needed + 1; lost <= Math.min(degree, gone); lost++)
    ways += choose(gone, lost) * choose(others - gone, degree - lost);
  return (BigInt(present) * ways) << FAILURE_BITS <= choose(others, degree);
}

const chosen = new Map<number, bigint>();

/** Ways to choose k of n, both below 1024. */
export function choose(n: number, k: number): bigint {
  if (k < 0 || k > n) return 0n;
  if (k === 0 || k === n) return 1n;
  const key = n * 1024 + k;
  let ways = chosen.get(key);
  if (ways === undefined) {
    ways = (choose(n, k - 1) * BigInt(n - k + 1)) / BigInt(k);
    chosen.set(key, ways);
  }
  return ways;
}

/**
 * The graph: for each tenant its neighbours, sorted. The relation is symmetric.
 *
 * @param names - sorted
 * @param seed - 32 bytes that everyone has, of this round alone
 */
export function neighbours(
  names: readonly TenantId[],
  degree: number,
  seed: Uint8Array,
): ReadonlyMap<TenantId, readonly TenantId[]> {
  if (degree >= names.length - 1) return new Map(names.map((name) => [name, names.filter((other) => other !== name)]));
  const circle = shuffled(names, seed);
  return new Map(circle.map((name, at) => [name, around(circle, at, degree)]));
}

function around(circle: readonly TenantId[], at: number, degree: number): TenantId[] {
  const near: TenantId[] = [];
  for (let step = 1; step <= degree / 2; step++)
    for (const place of [at + step, at - step + circle.length]) near.push(circle[place % circle.length]!);
  return near.sort();
}

/**
 * An order that nobody chose. Fisher and Yates. 64 bits a draw: what is left of a remainder's bias is below 2^−56.
 *
 * @param seed - 32 bytes that everyone has
 */
export function shuffled(names: readonly TenantId[], seed: Uint8Array): TenantId[] {
  const order = [...names];
  const draws = createHash('shake128', { outputLength: 8 * order.length })
    .update(digest('parley/neighbours/v1', seed))
    .digest();
  for (let last = order.length - 1; last > 0; last--) {
    const other = Number(draws.readBigUInt64LE(8 * last) % BigInt(last + 1));
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}
