import { customerNorm } from '../models/k-means.ts';
import { sumDimension } from '../models/model.ts';
import { calibrateNoiseMultiplier, epsilonForCopies } from '../privacy/calibrate.ts';
import { MAX_STD_DEV } from '../privacy/discrete-gaussian.ts';
import { pathFor, sensitivity } from '../privacy/grid.ts';
import {
  ACCOUNTED_DELTA_FRACTION,
  type Guarantees,
  guarantees,
  noiseShare,
  openingsFor,
  type PlanShape,
  planEvent,
} from '../privacy/guarantee.ts';
import { samplingRate } from '../privacy/poisson.ts';
import type { Plan, Roster } from './plan.ts';
import {
  checkBits,
  checkPath,
  checkProtocol,
  checkRoster,
  checkTruncation,
  checkWork,
  PlanRefused,
} from './plan-refused.ts';
import { coalitionShares, type Settings } from './settings.ts';
import { MOST_VALUES } from './wire.ts';

/**
 * All that follows from settings and a roster, by arithmetic that every client repeats: dimension, noise, thresholds, ε.
 *
 * @param chosen - noise multiplier; the least that keeps the settings' ε when left out
 * @throws PlanRefused naming the setting that does not fit, and by how much
 */
export function derive(settings: Settings, roster: Roster, chosen?: number): Plan['derived'] {
  const { privacy, secureSum, work } = settings;
  checkRoster(roster);
  checkWork(settings);
  const threshold = thresholdFor(roster.length, secureSum);
  checkProtocol(secureSum, roster.length, threshold);
  const { dimension, clipNorm } = vectorOf(settings);
  // or it would be opened and paid for, and nobody could be told
  if (dimension > MOST_VALUES)
    throw new PlanRefused(
      'work.model',
      `has ${dimension} parameters, a sum has ${MOST_VALUES} at most: make it smaller`,
    );
  const path = pathFor(dimension, privacy.maxBatch);
  checkPath(settings, path);
  const bound = sensitivity(path, privacy.gridSteps, dimension);
  const rate = samplingRate(privacy.samplingRate);
  const openings = openingsFor(work.kind === 'evaluate' ? 1 : work.rounds);
  checkTruncation(privacy, rate, openings);

  const noiseMultiplier = chosen ?? calibrated(privacy, rate, openings);
  const shares = coalitionShares(settings);
  const shareStdDev = noiseShare({ noiseMultiplier, sensitivity: bound, minCohort: shares, colluders: 0 });
  if (shareStdDev > MAX_STD_DEV)
    throw new PlanRefused(
      'privacy.gridSteps',
      `a noise share of ${shareStdDev} grid steps is beyond the sampler's ${MAX_STD_DEV}; use a coarser grid`,
    );
  const shape = { shareStdDev, sensitivity: bound, dimension, rate, openings };
  const maxMagnitude = largestSum(roster.length, privacy.maxBatch * bound, shareStdDev);
  const { protocol, ...trust } = secureSum;
  checkBits(protocol, { dimension, tenants: roster.length, threshold, ...trust, maxMagnitude });
  return {
    ...{ dimension, path, clipNorm, sensitivity: bound, rate, noiseMultiplier, shareStdDev, openings },
    ...{ threshold, maxMagnitude },
    epsilon: epsilonOf(settings, shape),
    epsilonByCopies: epsilonByCopies(settings, shape),
  };
}

type NoisedOpenings = Omit<PlanShape, 'shares' | 'tenantsPerCustomer'>;

function epsilonOf({ privacy, secureSum }: Settings, shape: NoisedOpenings): Guarantees {
  const { mode, tenantsPerCustomer } = privacy;
  return guarantees({
    ...secureSum,
    eventFor: (held) => planEvent({ ...shape, tenantsPerCustomer, shares: mode === 'record-local' ? 1 : held }),
    delta: privacy.delta * ACCOUNTED_DELTA_FRACTION,
  });
}

function epsilonByCopies(settings: Settings, shape: NoisedOpenings): [number, number, number] {
  const event = planEvent({ ...shape, tenantsPerCustomer: 1, shares: coalitionShares(settings) });
  const found = epsilonForCopies([event], settings.privacy.delta * ACCOUNTED_DELTA_FRACTION, [1, 2, 3]);
  return [found[0]!, found[1]!, found[2]!];
}

/**
 * t = ledger quorum = ⌊(N + c)/2⌋ + 1: two sets of openers always share a tenant that does not collude
 * (2t > N + c), so one round cannot be opened over two sets.
 */
function thresholdFor(tenants: number, { minCohort, colluders }: Settings['secureSum']): number {
  const threshold = Math.floor((tenants + colluders) / 2) + 1;
  if (minCohort > tenants)
    throw new PlanRefused('secureSum.minCohort', `is ${minCohort}, but only ${tenants} tenants are enrolled`);
  if (colluders >= threshold || threshold > minCohort)
    throw new PlanRefused(
      'secureSum',
      `${tenants} tenants with ${colluders} colluders need ${threshold} openers, more than ${colluders} and at most minCohort = ${minCohort}`,
    );
  return threshold;
}

function vectorOf({ work, features }: Settings): { dimension: number; clipNorm: number } {
  switch (work.kind) {
    case 'train':
      return { dimension: sumDimension(work.model, features), clipNorm: work.clipNorm };
    case 'segment':
      return {
        dimension: sumDimension({ kind: 'k-means', clusters: work.clusters }, features),
        clipNorm: customerNorm(features.features.length, features.label !== undefined),
      };
    case 'evaluate':
      return { dimension: 2 * work.bins, clipNorm: 1 };
  }
}

function calibrated(privacy: Settings['privacy'], rate: number, openings: number): number {
  const unit = 2 ** 20;
  const { tenantsPerCustomer } = privacy;
  const fixed = { shares: 1, sensitivity: unit, dimension: 1, rate, openings, tenantsPerCustomer };
  return calibrateNoiseMultiplier({
    epsilon: privacy.epsilon,
    delta: privacy.delta * ACCOUNTED_DELTA_FRACTION,
    // any grid this fine gives the same z to ten digits; dimension does not enter
    eventFor: (z) => planEvent({ ...fixed, shareStdDev: z * unit }),
  });
}

/** Every customer of every tenant at the bound in one coordinate, and 12 standard deviations of all shares. */
const largestSum = (tenants: number, perTenant: number, shareStdDev: number): number =>
  Math.ceil(tenants * perTenant + 12 * shareStdDev * Math.sqrt(tenants));
