import { makePlan } from '../aggregation/plan.ts';
import { PlanRefused } from '../aggregation/plan-refused.ts';
import type { Settings } from '../aggregation/settings.ts';
import { calibrateNoiseMultiplier } from '../privacy/calibrate.ts';
import { guarantees, noiseShare, planEvent } from '../privacy/guarantee.ts';
import { EVERYBODY } from '../privacy/poisson.ts';
import { dropOut, type Priced } from './adversaries.ts';
import { type NoiseToSignal, noiseToSignal } from './noise-to-signal.ts';
import type { Noise, PrivacyPlan } from './plan-figures.ts';
import { imaginedRoster, MISSING_SHARES, pricesOf, wireOf } from './privacy-plan.ts';

/**
 * Tenant-level privacy (`tenant-distributed`): the unit is a whole business unit. Each tenant clips the update its customers
 * give together to one bound; the clipped update is its one row, in every round.
 *
 *   Σ over tenants of clip_C(update) + noise        one tenant moves the sum by C, however many customers it has
 *
 * It hides that a tenant has unusual customers, and needs noise as long as C for it: with few tenants, or a model of many
 * coordinates, the noise drowns everything. A plan where it does is refused with the ratio.
 *
 * Neighbours: the tenant's update is in the sum or it is not. That the tenant takes part is public, and so is its share of
 * noise in both worlds. Tasks in this mode are planned here and not yet run.
 */
export interface TenantTask {
  /** N */
  readonly tenants: number;
  readonly minCohort: number;
  readonly colluders: number;
  /** T: sums that are opened */
  readonly rounds: number;
  /** > 0 */
  readonly epsilon: number;
  /** in (0, 1) */
  readonly delta: number;
  readonly dimension: number;
  /** L2 bound on one tenant's update */
  readonly clipNorm: number;
  /** grid steps per clip norm */
  readonly gridSteps: number;
  /** L2 change of the integer sum when one tenant's update is added or removed, in grid steps */
  readonly sensitivity: number;
}

export interface TenantPrice {
  readonly priced: Priced;
  readonly noise: Noise;
  /** of a round that every tenant contributes to */
  readonly noiseToSignal: NoiseToSignal;
}

/**
 * The noise that hides a tenant: the Gaussian mechanism, unsampled, `rounds` times.
 *
 * @throws RangeError when not 0 ≤ colluders < minCohort, or delta is outside (0, 1)
 */
export function tenantPrice(task: TenantTask): TenantPrice {
  const { tenants, minCohort, colluders, rounds, epsilon, delta, dimension, clipNorm, gridSteps, sensitivity } = task;
  const fixed = { sensitivity, dimension, rate: EVERYBODY, tenantsPerCustomer: 1 };
  const noiseMultiplier = calibrateNoiseMultiplier({
    ...{ epsilon, delta },
    eventFor: (z) => planEvent({ ...fixed, shareStdDev: z * sensitivity, shares: 1, openings: rounds }),
  });
  const shareStdDev = noiseShare({ noiseMultiplier, sensitivity, minCohort, colluders });
  const sumStdDev = shareStdDev * Math.sqrt(tenants);
  const real = clipNorm / gridSteps;
  return {
    priced: {
      eventFor: (shares, openings) => planEvent({ ...fixed, shareStdDev, shares, openings }),
      shares: { release: minCohort, coalition: minCohort - colluders, floor: 1 },
      ...{ openings: rounds, epsilon, delta, truncation: 0 },
    },
    noise: {
      multiplier: noiseMultiplier,
      share: { gridSteps: shareStdDev, real: shareStdDev * real },
      sum: { gridSteps: sumStdDev, real: sumStdDev * real },
    },
    noiseToSignal: noiseToSignal({ sumStdDev: sumStdDev * real, clipNorm, dimension, contributions: tenants }),
  };
}

/**
 * Plans a task of kind `train` whose unit is the tenant. No spare openings: a round that fails is one less.
 *
 * @param delta - in (0, 1); instead of the settings', which is meant for thousands of customers
 * @throws PlanRefused naming the setting that does not fit, and by how much; or the ratio of noise to signal where it is above 1
 */
export function tenantPlan(
  settings: Settings,
  tenants: number,
  delta: number = settings.privacy.delta,
): { plan: PrivacyPlan; priced: Priced } {
  const { work, privacy, secureSum } = settings;
  if (work.kind !== 'train')
    throw new PlanRefused('work.kind', `is ${work.kind}; tenant-level privacy is for updates of a model, kind train`);
  const { derived } = makePlan(oneRowEach(settings, delta), imaginedRoster(tenants), '0'.repeat(64), 0);
  const { dimension, clipNorm, sensitivity, threshold } = derived;
  const { minCohort, colluders } = secureSum;
  const { epsilon, gridSteps, neighbouring } = privacy;
  const { rounds } = work;
  const task = { tenants, minCohort, colluders, rounds, epsilon, delta, dimension, clipNorm, gridSteps, sensitivity };
  const { priced, noise, noiseToSignal } = tenantPrice(task);
  refuseDrowned(noiseToSignal, task);
  const maxMagnitude = Math.ceil(tenants * sensitivity + 12 * noise.sum.gridSteps);
  const plan: PrivacyPlan = {
    ...{ task: settings.name, work: work.kind, tenants, dimension },
    ...{ unit: 'tenant', neighbouring, mode: 'tenant-distributed', tenantsPerCustomer: 1, target: epsilon },
    epsilon: guarantees({ minCohort, colluders, eventFor: (shares) => priced.eventFor(shares, rounds), delta }),
    epsilonByCopies: [],
    delta: { total: delta, accounted: delta, setAside: 0, truncation: 0 },
    ...{ noise, noiseToSignal, rounds, openings: rounds },
    sampling: { rate: 1, expectedBatch: tenants, maxBatch: 1 },
    secureSum: wireOf(secureSum, { dimension, tenants, threshold, minCohort, colluders, maxMagnitude }),
    ...pricesOf(priced, rounds),
    dropOut: dropOut(priced, MISSING_SHARES),
    otherSizes: [],
  };
  return { plan, priced };
}

/**
 * The task as if every tenant had one customer, its update: whether cohort, protocol and bits fit does not depend on the unit.
 * A batch holds two, or it would count as one that may have to be cut.
 */
function oneRowEach({ privacy, features, ...rest }: Settings, delta: number): Settings {
  const one = {
    mode: 'record-distributed',
    tenantsPerCustomer: 1,
    samplingRate: 1,
    maxCustomers: 1,
    maxBatch: 2,
  } as const;
  // at most the largest δ a customer's plan may have: less δ is more noise, so what fits there fits here
  return {
    ...rest,
    features: { ...features, customer: 'row' },
    privacy: { ...privacy, ...one, delta: Math.min(delta, 1e-3) },
  };
}

/** Noise longer than all updates together at their bound teaches nothing, whatever ε it buys. */
function refuseDrowned({ ratio }: NoiseToSignal, { tenants, dimension, rounds, epsilon }: TenantTask): void {
  if (ratio <= 1) return;
  throw new PlanRefused(
    'unit',
    `tenant: in every round the noise is ${ratio.toFixed(2)} times as long as ${tenants} updates together can be, and may be 1 at most; use more tenants, fewer than ${rounds} rounds, fewer than ${dimension} coordinates, or an ε above ${epsilon}`,
  );
}
