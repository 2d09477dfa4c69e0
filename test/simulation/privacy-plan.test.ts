import { describe, expect, test } from 'vitest';
import { makePlan, shapeOf } from '../../aggregation/plan.ts';
import { PlanRefused } from '../../aggregation/plan-refused.ts';
import { protocolNamed } from '../../aggregation/protocols.ts';
import type { Settings } from '../../aggregation/settings.ts';
import { sumCosts } from '../../aggregation/sum-cost.ts';
import { ACCOUNTED_DELTA_FRACTION, truncationDelta } from '../../privacy/guarantee.ts';
import { noiseToSignal } from '../../simulation/noise-to-signal.ts';
import { imaginedRoster, privacyPlan } from '../../simulation/privacy-plan.ts';
import { churnSettings, evaluationSettings, segmentSettings } from '../../simulation/telco.ts';
import { NOWHERE, rosterOf } from '../support/small-task.ts';

const UNITS = [1526, 1223, 1198, 2128, 968];
const FIVE = { count: 5, sizes: UNITS };
const { plan } = privacyPlan(churnSettings, FIVE);
const signed = makePlan(churnSettings, rosterOf(5), NOWHERE, 0);
const privacy = (changes: Partial<Settings['privacy']>): Settings => ({
  ...churnSettings,
  privacy: { ...churnSettings.privacy, ...changes },
});

function refusal(settings: Settings, tenants: Parameters<typeof privacyPlan>[1]): PlanRefused {
  try {
    privacyPlan(settings, tenants);
  } catch (error) {
    if (error instanceof PlanRefused) return error;
    throw error;
  }
  throw new Error('was not refused');
}

describe('the churn task of five tenants', () => {
  test('needs noise of 2.2916 sensitivities, and costs ε 1.99996 at δ 1e-5 against a coalition', () => {
    expect(plan.noise.multiplier).toBeCloseTo(2.2916, 4);
    expect(plan.epsilon.coalition).toBeCloseTo(1.99996, 5);
    expect(plan.delta.total).toBe(1e-5);
    expect(plan).toMatchObject({ unit: 'row-as-customer', neighbouring: 'add-or-remove-one', tenantsPerCustomer: 1 });
  });
  test('states what the signed plan will state', () => {
    const { epsilon, epsilonByCopies, shareStdDev, noiseMultiplier, dimension, openings } = signed.derived;
    expect(plan).toMatchObject({ epsilon, epsilonByCopies, dimension, openings, rounds: 100, target: 2 });
    expect(plan.noise.share.gridSteps).toBe(shareStdDev);
    expect(plan.noise.multiplier).toBe(noiseMultiplier);
    const { needed, available } = protocolNamed('threshold-he').budget(shapeOf(signed));
    expect(plan.secureSum.choices).toEqual(sumCosts(shapeOf(signed)));
    expect(plan.secureSum).toMatchObject({
      ...{ protocol: 'threshold-he', threshold: 4, minCohort: 4, colluders: 1, bits: { needed, available } },
      bytesPerRound: protocolNamed('threshold-he').bytesPerRound(shapeOf(signed)),
    });
  });
  test('tells where δ goes: to the accountant, and to batches that must be cut', () => {
    const { total, accounted, setAside, truncation } = plan.delta;
    expect(accounted).toBe(total * ACCOUNTED_DELTA_FRACTION);
    expect(setAside / (total * 2 ** -20)).toBeCloseTo(1, 6);
    const cut = { customers: 2500, maxBatch: 400, rate: signed.derived.rate, openings: 105, tenantsPerCustomer: 1 };
    expect(truncation).toBe(truncationDelta(cut));
    expect(truncation).toBeLessThan(setAside);
  });
  test('has noise of √(N/(n_min − c))·z·√d / batch of the largest signal', () => {
    const signal = plan.noiseToSignal!;
    expect(signal.ratio).toBeCloseTo((Math.sqrt(5 / 3) * 2.2916 * Math.sqrt(47)) / 560, 6);
    expect(signal.ratioPerCoordinate).toBeCloseTo(signal.ratio / Math.sqrt(47), 12);
    expect(signal).toMatchObject({ contributions: 560, largestSignal: 2 });
    expect(signal.noise / signal.largestSignal).toBeCloseTo(signal.ratio, 12);
    expect(plan.noise.sum.real).toBeCloseTo(2.2916 * 2 * Math.sqrt(5 / 3), 3);
  });
  test('counts the customers that pay: four in five of the units’, at q', () => {
    expect(plan.customers).toBeCloseTo(7043 * 0.8, 9);
    expect(plan.sampling).toMatchObject({ expectedBatch: 560, maxBatch: 400 });
    expect(plan.sampling.drawn).toBeCloseTo(563.44, 3);
    expect(privacyPlan(evaluationSettings(NOWHERE, NOWHERE), FIVE).plan.customers).toBeCloseTo(7043 / 5, 9);
  });
  test('follows ε in tenths of the rounds', () => {
    expect(plan.epsilonAfter.map(({ at }) => at)).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
    expect(plan.epsilonAfter.at(-1)!.coalition).toBeLessThan(plan.epsilon.coalition); // five openings are spare
    const few = privacyPlan(segmentSettings, FIVE).plan;
    expect(few.epsilonAfter.map(({ at }) => at)).toEqual([1, 2, 3, 4, 5]);
  });
  test('counts n_min − c shares of noise already; what is missing of those costs more', () => {
    expect(plan.dropOut[0]).toEqual({ missing: 0, shares: 3, epsilon: plan.epsilon.coalition });
    expect(plan.dropOut.at(-1)!.epsilon).toBeGreaterThan(1.5 * plan.epsilon.coalition);
    expect(plan.dropOut.at(-1)!.epsilon).toBeLessThan(plan.epsilon.floor);
  });
  test('bounds attacks of all three, in the order of what they know', () => {
    for (const i of [0, 1]) {
      const rates = [plan.attack.release[i]!, plan.attack.coalition[i]!, plan.attack.floor[i]!];
      expect(rates.map(({ falsePositiveRate }) => falsePositiveRate)).toEqual(Array(3).fill([0.01, 0.001][i]));
      expect(rates[0]!.truePositiveRate).toBeLessThan(rates[1]!.truePositiveRate);
      expect(rates[1]!.truePositiveRate).toBeLessThan(rates[2]!.truePositiveRate);
    }
    expect(plan.attack.coalition[0]!.truePositiveRate).toBeLessThan(0.034); // what ε = 2 allows one Gaussian
    expect(plan.attack.coalition[0]!.truePositiveRate).toBeGreaterThan(0.03);
  });
});

test('with half or double the customers noise/signal doubles or halves, and a sum takes the bits that such a plan takes', () => {
  const [half, double] = plan.otherSizes;
  expect(half!.noiseToSignal).toBeCloseTo(2 * plan.noiseToSignal!.ratio, 12);
  expect(double!.noiseToSignal).toBeCloseTo(plan.noiseToSignal!.ratio / 2, 12);
  const larger = makePlan(privacy({ maxBatch: 800, maxCustomers: 5000 }), rosterOf(5), NOWHERE, 0);
  expect(double!.bitsNeeded).toBeCloseTo(protocolNamed('threshold-he').budget(shapeOf(larger)).needed, 9);
  expect(larger.derived.epsilon).toEqual(plan.epsilon);
  expect(half!.bitsNeeded).toBeLessThan(plan.secureSum.bits.needed);
});

test('what cannot be known without sizes is left out, not guessed', () => {
  const { plan: unsized } = privacyPlan(segmentSettings, { count: 5 });
  expect(Object.keys(unsized)).not.toContain('customers');
  expect(Object.keys(unsized)).not.toContain('noiseToSignal');
  expect(unsized.sampling).toEqual({ rate: 1, maxBatch: 2501 });
  expect(unsized.otherSizes).toEqual([]);
  const { plan: sized } = privacyPlan(segmentSettings, FIVE);
  const trainedOn =
    segmentSettings.features.holdout === null ? 7043 : 7043 * (1 - 1 / segmentSettings.features.holdout.oneIn);
  expect(sized.noiseToSignal!.contributions).toBeCloseTo(trainedOn, 9);
  // a training task states its divisor
  expect(privacyPlan(churnSettings, { count: 5 }).plan.noiseToSignal).toEqual(plan.noiseToSignal);
});

test('where every tenant adds the whole noise, all three see the same and nobody’s absence matters', () => {
  const { plan: local } = privacyPlan(privacy({ mode: 'record-local' }), FIVE);
  const { release, coalition, floor } = local.epsilon;
  expect([release, floor]).toEqual([coalition, coalition]);
  expect(local.attack.release).toEqual(local.attack.floor);
  expect(local.dropOut).toEqual([]);
  expect(local.epsilonAfter.at(-1)!.release).toBe(local.epsilonAfter.at(-1)!.floor);
});

test('customers of several tenants have the ε that was calibrated for them', () => {
  const { plan: shared } = privacyPlan(privacy({ tenantsPerCustomer: 3 }), { count: 5 });
  expect(shared.epsilonByCopies[2]).toBeCloseTo(shared.epsilon.coalition, 9);
  expect(shared.epsilon.coalition).toBeGreaterThan(1.999);
  expect(shared.renyi.noiseFactor).toBeGreaterThan(1);
  expect(shared.epsilonAfter.at(-1)!.coalition).toBeLessThan(shared.epsilon.coalition);
});

describe('a plan that cannot be is refused with the field and the number that says why', () => {
  test('threshold', () => {
    const { field, message } = refusal(churnSettings, { count: 20 });
    expect(field).toBe('secureSum');
    expect(message).toContain('20 tenants with 1 colluders need 11 openers, more than 1 and at most minCohort = 4');
  });
  test('truncation', () => {
    const { field, message } = refusal(privacy({ maxBatch: 300 }), FIVE);
    expect(field).toBe('privacy.maxBatch');
    expect(message).toMatch(/with a probability of up to \d(\.\d)?(e-\d+)?.* in all openings, and δ pays for 9\.5e-12/);
  });
  test('bits', () => {
    const tall = privacy({ gridSteps: 2 ** 24, maxBatch: 1_000_000 });
    const { field, message } = refusal({ ...tall, secureSum: { ...tall.secureSum, minCohort: 8 } }, { count: 10 });
    expect(field).toBe('privacy.maxBatch');
    expect(message).toMatch(/a sum needs 48\.\d\d bits, threshold-he has 48\.00/);
  });
  test('customers: a tenant with more than the plan provides for would decline', () => {
    const { field, message } = refusal(churnSettings, { count: 5, sizes: [10, 20, 4000, 30, 40] });
    expect(field).toBe('privacy.maxCustomers');
    expect(message).toContain('is 2500, but tenant 3 has some 3200 training customers');
    expect(privacyPlan(churnSettings, { count: 5, sizes: [10, 20, 3125, 30, 40] }).plan.customers).toBe(3225 * 0.8);
  });
});

test('imagined tenants have names in order and keys of their own', () => {
  const roster = imaginedRoster(200);
  expect(roster[0]!.tenant).toBe('tenant-001');
  expect(new Set(roster.map(({ key }) => key)).size).toBe(200);
  expect(roster.map(({ tenant }) => tenant)).toEqual(roster.map(({ tenant }) => tenant).sort());
});

test('noise beside signal: a hundred coordinates of σ 3 in a sum of 50 vectors of length 2', () => {
  expect(noiseToSignal({ sumStdDev: 3, clipNorm: 2, dimension: 100, contributions: 50 })).toEqual({
    ...{
      contributions: 50,
      largestSignal: 2,
      noise: 0.6,
      noisePerCoordinate: 0.06,
      ratio: 0.3,
      ratioPerCoordinate: 0.03,
    },
  });
  expect(() => noiseToSignal({ sumStdDev: 3, clipNorm: 2, dimension: 100, contributions: 0 })).toThrow(/got 0/);
});
