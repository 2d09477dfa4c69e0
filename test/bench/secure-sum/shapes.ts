import { protocolNamed } from '../../../aggregation/protocols.ts';
import type { SecureSum, SecureSumName, SumShape, TenantId } from '../../../aggregation/secure-sum.ts';
import type { Noised } from '../../../privacy/steps.ts';

/** Largest |value| of a contribution: 16 bits with the sign. */
const SIXTEEN_BITS = 2 ** 15;
/** What one customer's clipped gradient and the noise reach on the fine grid of the record modes, in a sum. */
const RECORD_GRID = 2 ** 44;

export type Grid = '16 bits' | 'record';

/** @param minCohort - 60 % of the tenants when left out */
export function shapeOf(
  tenants: number,
  dimension: number,
  grid: Grid,
  minCohort?: number,
  colluders?: number,
): SumShape {
  const least = minCohort ?? Math.max(Math.ceil(0.6 * tenants), tenants < 10 ? tenants - 1 : 0);
  // as many as the quorum allows: t = ⌊(N + c)/2⌋ + 1 ≤ n_min, at most a tenth
  const c = colluders ?? Math.max(0, Math.min(Math.ceil(tenants / 10), 2 * least - tenants - 2));
  return {
    dimension,
    tenants,
    threshold: Math.floor((tenants + c) / 2) + 1,
    minCohort: least,
    colluders: c,
    maxMagnitude: grid === 'record' ? RECORD_GRID : SIXTEEN_BITS * tenants,
  };
}

/** Values of the grid, different for every tenant; not clipped, not noised, nobody's. */
export function vectorsOf(shape: SumShape, grid: Grid): (tenant: TenantId) => Noised {
  const most = grid === 'record' ? Math.floor(RECORD_GRID / shape.tenants) : SIXTEEN_BITS - 1;
  const made = new Map<number, Noised>();
  return (tenant) => {
    const seed = Number(tenant.slice(-3)) % 4; // a few are enough to be summed, and fit into memory
    let values = made.get(seed);
    if (values === undefined) {
      values = Float64Array.from(
        { length: shape.dimension },
        (_, i) => ((i * 7919 + seed * 104_729) % (2 * most)) - most,
      ) as Noised;
      made.set(seed, values);
    }
    return values;
  };
}

/** What the sum over `cohort` must be. */
export function expectedSum(vectorOf: (tenant: TenantId) => Noised, cohort: Iterable<TenantId>): Float64Array {
  let sum: Float64Array | undefined;
  for (const tenant of cohort) {
    const values = vectorOf(tenant);
    sum ??= new Float64Array(values.length);
    for (let i = 0; i < values.length; i++) sum[i]! += values[i]!;
  }
  return sum!;
}

export const protocolOf = (name: SecureSumName): SecureSum => protocolNamed(name);

export const equal = (a: Float64Array, b: Float64Array): boolean =>
  a.length === b.length && a.every((x, i) => x === b[i]);
