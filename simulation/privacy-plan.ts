import { createHash } from 'node:crypto';
import { makePlan, type Plan, poolOf, type Roster, roundsOf, shapeOf } from '../aggregation/plan.ts';
import { PlanRefused } from '../aggregation/plan-refused.ts';
import { protocolNamed } from '../aggregation/protocols.ts';
import type { SumShape } from '../aggregation/secure-sum.ts';
import { coalitionShares, type Settings, unitOf } from '../aggregation/settings.ts';
import { sumCosts } from '../aggregation/sum-cost.ts';
import { whoOpens } from '../aggregation/who-opens.ts';
import { forEach } from '../privacy/adversary.ts';
import { ACCOUNTED_DELTA_FRACTION, planEvent, truncationDelta } from '../privacy/guarantee.ts';
import { EVERYBODY } from '../privacy/poisson.ts';
import { attackGains, byRenyi, dropOut, epsilonAfter, oneMoreRound, type Priced } from './adversaries.ts';
import { type NoiseToSignal, noiseToSignal } from './noise-to-signal.ts';
import type { Noise, OtherSize, PrivacyPlan, Sampling, Wire } from './plan-figures.ts';

/**
 * Everything that can be said about a task before anything runs: from its settings, and how many customers each tenant has.
 *
 *   settings, sizes ──makePlan──▶ plan ──▶ ε, δ, noise, bits, bytes, what an attacker gains, what other choices would change
 *
 * Promise: pure arithmetic on what a person wrote down. No data is read, nothing is asked of anybody, and the figures that a
 * signed plan will carry are the plan's own.
 */

/** Who is there: how many tenants, and how many customers each has, where that is known. */
export interface Tenants {
  readonly count: number;
  readonly sizes?: readonly number[];
}

export const FALSE_POSITIVE_RATES: readonly number[] = [0.01, 0.001];
export const MISSING_SHARES: readonly number[] = [0, 0.05, 0.1, 0.2, 0.3, 0.5];

/**
 * Plans a task whose unit is the customer.
 *
 * @throws PlanRefused naming the setting that does not fit, and by how much
 */
export function privacyPlan(settings: Settings, tenants: Tenants): { plan: PrivacyPlan; priced: Priced } {
  const plan = makePlan(settings, imaginedRoster(tenants.count), '0'.repeat(64), 0);
  const customers = paying(plan, tenants);
  const priced = pricedOf(plan);
  const { derived } = plan;
  const { privacy } = settings;
  const shape = shapeOf(plan);
  const sampling = samplingOf(plan, customers);
  const signal = sampling.expectedBatch === undefined ? undefined : signalOf(plan, sampling.expectedBatch);
  const figures: PrivacyPlan = {
    ...{ task: settings.name, work: settings.work.kind, tenants: tenants.count, dimension: derived.dimension },
    ...(customers === undefined ? {} : { customers }),
    ...{ unit: unitOf(settings), neighbouring: privacy.neighbouring, mode: privacy.mode },
    ...{ tenantsPerCustomer: privacy.tenantsPerCustomer, target: privacy.epsilon },
    ...{ epsilon: derived.epsilon, epsilonByCopies: derived.epsilonByCopies },
    delta: {
      total: privacy.delta,
      accounted: priced.delta,
      setAside: privacy.delta - priced.delta,
      truncation: priced.truncation,
    },
    noise: noiseOf(plan),
    ...(signal === undefined ? {} : { noiseToSignal: signal }),
    sampling,
    ...{ rounds: roundsOf(plan), openings: derived.openings },
    secureSum: wireOf(settings.secureSum, shape),
    ...pricesOf(priced, roundsOf(plan)),
    dropOut: privacy.mode === 'record-local' ? [] : dropOut(priced, MISSING_SHARES),
    otherSizes: signal === undefined ? [] : [0.5, 2].map((factor) => otherSize(plan, signal, factor)),
  };
  return { plan: figures, priced };
}

/** Tenants that do not exist, to size a plan for. */
export function imaginedRoster(tenants: number): Roster {
  return Array.from({ length: tenants }, (_, i) => ({
    tenant: `tenant-${String(i + 1).padStart(3, '0')}`,
    key: createHash('sha256').update(`imagined ${i}`).digest('hex'),
  }));
}

/** What the accountant says of a plan, whatever its unit. */
export function pricesOf(
  priced: Priced,
  rounds: number,
): Pick<PrivacyPlan, 'attack' | 'epsilonAfter' | 'renyi' | 'oneMoreRound'> {
  const tenths = new Set(Array.from({ length: 10 }, (_, i) => Math.ceil((rounds * (i + 1)) / 10)));
  return {
    attack: forEach((who) => attackGains(priced, who, FALSE_POSITIVE_RATES)),
    epsilonAfter: epsilonAfter(priced, [...tenths]),
    renyi: byRenyi(priced),
    oneMoreRound: oneMoreRound(priced),
  };
}

/** @param shape - the sum's, its largest magnitude included */
export function wireOf({ protocol, minCohort, colluders }: Settings['secureSum'], shape: SumShape): Wire {
  const { budget, bytesPerRound, opening } = protocolNamed(protocol);
  const { needed, available } = budget(shape);
  return {
    ...{ protocol, threshold: shape.threshold, minCohort, colluders, opens: whoOpens(shape, opening(shape)) },
    bits: { needed, available },
    bytesPerRound: bytesPerRound(shape),
    choices: sumCosts(shape),
  };
}

function pricedOf(plan: Plan): Priced {
  const { derived, settings } = plan;
  const { privacy, secureSum } = settings;
  const isLocal = privacy.mode === 'record-local';
  return {
    eventFor: (shares, openings) => planEvent({ ...derived, ...privacy, shares, openings }),
    shares: {
      release: isLocal ? 1 : secureSum.minCohort,
      coalition: coalitionShares(settings),
      floor: 1,
    },
    openings: derived.openings,
    epsilon: privacy.epsilon,
    delta: privacy.delta * ACCOUNTED_DELTA_FRACTION,
    truncation: truncationDelta({ ...derived, ...privacy, customers: privacy.maxCustomers }),
  };
}

/**
 * Customers whose privacy pays for this task, over all tenants.
 *
 * @throws PlanRefused where a tenant has more than the plan provides for
 */
function paying(plan: Plan, { sizes }: Tenants): number | undefined {
  if (sizes === undefined) return undefined;
  const { features, privacy } = plan.settings;
  const heldOut = features.holdout === null ? 0 : 1 / features.holdout.oneIn;
  const part = poolOf(plan) === 'held-out' ? heldOut : 1 - heldOut;
  const most = Math.max(...sizes) * part;
  if (most > privacy.maxCustomers)
    throw new PlanRefused(
      'privacy.maxCustomers',
      `is ${privacy.maxCustomers}, but tenant ${sizes.indexOf(Math.max(...sizes)) + 1} has some ${Math.round(most)} ${poolOf(plan)} customers; it would decline`,
    );
  return sizes.reduce((sum, size) => sum + size, 0) * part;
}

function samplingOf({ settings, derived }: Plan, customers: number | undefined): Sampling {
  const rate = derived.rate / EVERYBODY;
  const drawn = customers === undefined ? {} : { drawn: rate * customers };
  const divisor = settings.work.kind === 'train' ? settings.work.expectedBatch : drawn.drawn;
  return {
    rate,
    ...drawn,
    ...(divisor === undefined ? {} : { expectedBatch: divisor }),
    maxBatch: settings.privacy.maxBatch,
  };
}

function noiseOf({ derived, settings, roster }: Plan): Noise {
  const real = derived.clipNorm / settings.privacy.gridSteps;
  const sum = derived.shareStdDev * Math.sqrt(roster.length);
  return {
    multiplier: derived.noiseMultiplier,
    share: { gridSteps: derived.shareStdDev, real: derived.shareStdDev * real },
    sum: { gridSteps: sum, real: sum * real },
  };
}

const signalOf = (plan: Plan, expectedBatch: number): NoiseToSignal =>
  noiseToSignal({ ...plan.derived, sumStdDev: noiseOf(plan).sum.real, contributions: expectedBatch });

function otherSize(plan: Plan, { ratio }: NoiseToSignal, factor: number): OtherSize {
  const { derived, settings, roster } = plan;
  const everybody = roster.length * settings.privacy.maxBatch * derived.sensitivity;
  const shape = { ...shapeOf(plan), maxMagnitude: derived.maxMagnitude + (factor - 1) * everybody };
  return { factor, noiseToSignal: ratio / factor, bitsNeeded: wireOf(settings.secureSum, shape).bits.needed };
}
