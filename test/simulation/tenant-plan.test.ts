import { describe, expect, test } from 'vitest';
import { PlanRefused } from '../../aggregation/plan-refused.ts';
import type { Settings } from '../../aggregation/settings.ts';
import { gaussianEpsilon } from '../../privacy/normal.ts';
import { churnSettings, segmentSettings } from '../../simulation/telco.ts';
import { type TenantTask, tenantPlan, tenantPrice } from '../../simulation/tenant-plan.ts';

const task = (changes: Partial<TenantTask>): TenantTask => ({
  ...{ tenants: 10, minCohort: 10, colluders: 0, rounds: 10, epsilon: 2, delta: 10 ** -1.1, dimension: 1000 },
  ...{ clipNorm: 3, gridSteps: 2 ** 20, sensitivity: 2 ** 20 },
  ...changes,
});

const many: Settings = {
  ...churnSettings,
  work: { ...(churnSettings.work as Extract<Settings['work'], { kind: 'train' }>), rounds: 10, averageLast: 5 },
  privacy: { ...churnSettings.privacy, epsilon: 8 },
  secureSum: { protocol: 'threshold-he', minCohort: 55, colluders: 3 },
};

function refusal(plan: () => unknown): PlanRefused {
  try {
    plan();
  } catch (error) {
    if (error instanceof PlanRefused) return error;
    throw error;
  }
  throw new Error('was not refused');
}

describe('hiding a whole tenant', () => {
  test.each([
    { tenants: 10, epsilon: 2, dimension: 1000, ratio: '7.7' },
    { tenants: 100, epsilon: 2, dimension: 1000, ratio: '1.2' },
    { tenants: 100, epsilon: 2, dimension: 10_000, ratio: '3.8' },
    { tenants: 200, epsilon: 8, dimension: 1000, ratio: '0.22' },
    { tenants: 200, epsilon: 8, dimension: 10_000, ratio: '0.71' },
  ])(
    '$tenants tenants, ε $epsilon, ten rounds, $dimension coordinates, δ N^-1.1: noise is $ratio of the signal',
    (row) => {
      // multipliers by dp_accounting 0.6.0, √dimension · z / N by hand
      const { tenants, ratio } = row;
      const price = tenantPrice(task({ ...row, minCohort: tenants, delta: tenants ** -1.1 }));
      const digits = ratio.length - ratio.indexOf('.') - 1;
      expect(price.noiseToSignal.ratio.toFixed(digits)).toBe(ratio);
    },
  );

  test('takes the Gaussian mechanism, every tenant in every round, and no spare opening', () => {
    const { priced, noise } = tenantPrice(task({ rounds: 7, delta: 1e-3 }));
    expect(priced.openings).toBe(7);
    const epsilon = gaussianEpsilon(Math.sqrt(7) / noise.multiplier, 1e-3);
    expect(epsilon).toBeLessThanOrEqual(2);
    expect(epsilon).toBeGreaterThan(1.999);
  });

  test('makes up for tenants that are absent or collude: the sum of all carries √(N / (n_min − c)) times the noise', () => {
    const all = tenantPrice(task({ tenants: 20, minCohort: 20, colluders: 0 }));
    const some = tenantPrice(task({ tenants: 20, minCohort: 16, colluders: 3 }));
    expect(some.noise.multiplier).toBe(all.noise.multiplier);
    expect(some.noiseToSignal.ratio / all.noiseToSignal.ratio).toBeCloseTo(Math.sqrt(20 / 13), 5);
    expect(some.priced.shares).toEqual({ release: 16, coalition: 13, floor: 1 });
  });

  test('does not depend on how the update is scaled', () => {
    const { noiseToSignal, noise } = tenantPrice(task({ clipNorm: 0.5 }));
    expect(noiseToSignal.ratio).toBeCloseTo(tenantPrice(task({ clipNorm: 3 })).noiseToSignal.ratio, 12);
    expect(noiseToSignal.noise).toBeCloseTo(noiseToSignal.ratio * 0.5, 12);
    expect(noise.sum.real).toBeCloseTo((noise.multiplier * 0.5 * Math.sqrt(10)) / Math.sqrt(10), 5);
  });
});

describe('a plan whose unit is the tenant', () => {
  test('is refused, with the number, where noise is longer than all updates together', () => {
    const { field, message } = refusal(() => tenantPlan(churnSettings, 5));
    expect(field).toBe('unit');
    expect(message).toMatch(/the noise is 3\d\.\d\d times as long as 5 updates together can be, and may be 1 at most/);
  });

  test('is refused exactly from a ratio of 1 on', () => {
    const { ratio } = tenantPlan(many, 60, 0.01).plan.noiseToSignal!;
    expect(ratio).toBeLessThan(1);
    const wide = (factor: number): Settings => {
      const categories = Array.from({ length: Math.round(47 * (factor / ratio) ** 2) - 47 }, (_, i) => `c${i}`);
      const column = { kind: 'category', column: 'wide', categories, missing: 'zero', unknown: 'zero' } as const;
      return { ...many, features: { ...many.features, features: [...many.features.features, column] } };
    };
    const narrow = tenantPlan(wide(0.97), 60, 0.01).plan.noiseToSignal!;
    expect(narrow.ratio).toBeGreaterThan(0.95);
    expect(narrow.ratio).toBeLessThanOrEqual(1);
    expect(refusal(() => tenantPlan(wide(1.03), 60, 0.01)).message).toMatch(/the noise is 1\.0\d times/);
  });

  test('states its own ε, three of them, at its own δ, however many customers a tenant has', () => {
    const { plan } = tenantPlan(many, 60, 0.01);
    expect(plan).toMatchObject({
      unit: 'tenant',
      mode: 'tenant-distributed',
      rounds: 10,
      openings: 10,
      otherSizes: [],
    });
    expect(plan.delta).toEqual({ total: 0.01, accounted: 0.01, setAside: 0, truncation: 0 });
    expect(plan.epsilon.coalition).toBeLessThanOrEqual(8);
    expect(plan.epsilon.coalition).toBeGreaterThan(7.995);
    expect(plan.epsilon.release).toBeLessThan(plan.epsilon.coalition);
    expect(plan.epsilon.floor).toBeGreaterThan(plan.epsilon.coalition);
    const huge = { ...many, privacy: { ...many.privacy, maxCustomers: 1_000_000, maxBatch: 200_000 } };
    expect(tenantPlan(huge, 60, 0.01).plan).toEqual(plan);
    expect(tenantPlan(many, 60).plan.delta.total).toBe(many.privacy.delta);
  });

  test('bounds a sum by one update of each tenant and twelve deviations', () => {
    const { secureSum, noise } = tenantPlan(many, 60, 0.01).plan;
    const largest = Math.ceil(60 * 2 ** 20 + 12 * noise.sum.gridSteps);
    expect(secureSum.bits.needed).toBeCloseTo(Math.log2(2 * largest + 1), 9);
    expect(secureSum).toMatchObject({ threshold: 32, minCohort: 55, colluders: 3 });
  });

  test('is refused where cohort or work do not fit, as any plan', () => {
    expect(refusal(() => tenantPlan(many, 50, 0.01)).field).toBe('secureSum.minCohort');
    const crowd = { ...many, secureSum: { ...many.secureSum, minCohort: 190 } };
    expect(refusal(() => tenantPlan(crowd, 201, 0.01)).field).toBe('secureSum.protocol');
    expect(refusal(() => tenantPlan(segmentSettings, 5)).field).toBe('work.kind');
  });
});
