import { describe, expect, test } from 'vitest';
import type { Plan } from '../../../aggregation/plan.ts';
import { secureRandom } from '../../../privacy/random.ts';
import { audit } from '../../../simulation/audit/audit.ts';
import { asReleased, withLessNoise } from '../../../simulation/audit/contribute.ts';
import { type Subject, subjectOf } from '../../../simulation/audit/subject.ts';
import { churnSettings, evaluationSettings, segmentSettings } from '../../../simulation/telco.ts';
import * as defect from './defects.ts';
import { auditOf, backend, churn, options } from './small-audit.ts';

describe('the code as it is', () => {
  test('passes in a federation of production clients, with the power to fail', async () => {
    const report = await audit(churn, { ...options(''), random: secureRandom(), canaries: 200 });
    expect(report.reasons).toEqual([]);
    expect(report.verdict).toBe('PASS');
    expect(report.evidence.oneRun).toBeLessThan(churn.claimed.release);
    expect(report.evidence.fdp.epsilon).toBeLessThan(churn.claimed.release);
    expect(report.control.caughtAt).toBeGreaterThan(1);
    expect(report.noise.values).toBeGreaterThan(10 * 60);
    expect(report.sumsHash).toMatch(/^[0-9a-f]{64}$/);
  });

  test('passes where every tenant adds all the noise, and where a customer may be in two tenants', async () => {
    const { privacy } = churnSettings;
    for (const changed of [{ mode: 'record-local' as const }, { tenantsPerCustomer: 2 }]) {
      const subject = subjectOf({ ...churnSettings, privacy: { ...privacy, ...changed } }, 10);
      const { reasons, claim } = await auditOf(asReleased, { subject });
      expect(reasons).toEqual([]);
      for (const kind of ['release', 'coalition', 'floor'] as const)
        expect(claim.recomputed![kind]).toBeCloseTo(subject.claimed[kind], 6);
    }
  });

  test.each([
    ['segments', segmentSettings],
    ['an evaluation', evaluationSettings('0'.repeat(64), '0'.repeat(64))],
  ])('passes for %s', async (_, settings) => {
    expect(await auditOf(asReleased, { subject: subjectOf(settings), canaries: 300 })).toMatchObject({
      verdict: 'PASS',
      reasons: [],
    });
  });

  test('is not judged by an attack too weak to see even a control', async () => {
    const privacy = { ...churnSettings.privacy, epsilon: 8, samplingRate: 0.01 };
    const subject = subjectOf({ ...churnSettings, privacy }, 1);
    const report = await auditOf(asReleased, { subject, canaries: 100 });
    expect(report.verdict).toBe('INCONCLUSIVE');
    expect(report.control.caughtAt).toBeUndefined();
    expect(report.reasons).toEqual([expect.stringMatching(/64 times too small .* take more canaries/)]);
  });
});

describe('code with a defect is a violation:', () => {
  test.each([
    [
      'clip off',
      defect.unclipped,
      /with huge numbers moves a contribution by 3\.\d+e\+7 grid steps, 1048576 are allowed/,
    ],
    ['noise off', defect.noiseless, /noise in the sums is not the plan's/],
    ['shares for too many tenants', defect.tooManyShares, /noise in the sums is not the plan's/],
    ['σ/n instead of σ/√n', defect.dividedByCount, /noise in the sums is not the plan's/],
    ['noise used again', defect.reusing(), /two rounds share noise/],
    ['an empty batch without noise', defect.quietWhenEmpty, /the only customer/],
    ['an exception for a NaN', defect.upsetByNaN, /without numbers changes how/],
    ['chance drawn by data', defect.drawingByData, /changes how a contribution is made/],
  ])('%s', async (_, contribute, reason) => {
    const report = await auditOf(contribute);
    expect(report.verdict).toBe('VIOLATION');
    expect(report.reasons.join('\n')).toMatch(reason);
  });

  test('a plan whose shares carry too little noise for the ε it states', async () => {
    const own = churn.own!;
    for (const scale of [1 / Math.sqrt(3), Math.sqrt(3 / 4)]) {
      const shareStdDev = Math.round(own.derived.shareStdDev * scale);
      const wrong: Plan = { ...own, derived: { ...own.derived, shareStdDev } };
      const report = await auditOf(asReleased, { subject: { ...churn, own: wrong } });
      expect(report.verdict).toBe('VIOLATION');
      expect(report.reasons[0]).toMatch(/^release ε 1\.5215 is claimed, the noise gives at least/);
    }
  });
});

describe('the attack by itself', () => {
  test.each([
    ['clip off', defect.unclipped],
    ['noise off', defect.noiseless],
    ['noise a 30th', withLessNoise(30)],
  ])('tells who was there too well with %s, by both bounds', async (_, contribute) => {
    const { evidence, reasons } = await auditOf(contribute, { canaries: 400 });
    expect(evidence.oneRun).toBeGreaterThan(churn.claimed.release);
    expect(evidence.fdp.epsilon).toBeGreaterThan(churn.claimed.release);
    expect(evidence.fdp.epsilon).toBeGreaterThan(evidence.oneRun);
    expect(reasons.join()).toContain('can be told too well');
  });

  test('stays below the claim, and near it by the estimate, when all is well', async () => {
    const { evidence, limit } = await auditOf(asReleased, { canaries: 1000 });
    expect(evidence.oneRun).toBeLessThan(churn.claimed.release);
    expect(evidence.fdp.mu).toBeLessThan(limit.mu);
    expect(evidence.fit.interval[0]).toBeLessThan(churn.claimed.release);
    expect(evidence.fit.interval[1]).toBeGreaterThan(churn.claimed.release / 3);
    expect(evidence.roc.auc).toBeGreaterThan(0.52);
  });

  test('compares with the release that is claimed, not with the one that was calibrated', async () => {
    const boastful: Subject = { ...churn, claimed: { ...churn.claimed, release: 0.1 } };
    const { reasons, evidence, limit } = await auditOf(asReleased, { subject: boastful, canaries: 1000 });
    expect(evidence.fdp.mu).toBeLessThan(limit.mu); // so one-run alone refutes it
    expect(reasons).toEqual([expect.stringContaining('the release claims 0.100')]);
  });

  test('refutes by f-DP what one-run cannot', async () => {
    const { reasons, evidence } = await auditOf(withLessNoise(4), { canaries: 1000, seed: 'b' });
    expect(evidence.oneRun).toBeLessThan(churn.claimed.release);
    expect(evidence.fdp.epsilon).toBeGreaterThan(churn.claimed.release);
    expect(reasons.join()).toContain('can be told too well');
  });
});

test('an audit with replayed chance is the same twice', async () => {
  const [one, other] = [await auditOf(asReleased), await auditOf(asReleased)];
  expect(one.sumsHash).toBe(other.sumsHash);
  expect(one.evidence).toEqual(other.evidence);
  expect((await auditOf(asReleased, { seed: 'another' })).sumsHash).not.toBe(one.sumsHash);
});

test.each([99, 4097, 150.5])('%d canaries are refused', async (canaries) => {
  await expect(auditOf(asReleased, { canaries })).rejects.toThrow('canaries must number 100 to 4096');
});

test('a federation that cannot be is refused as a plan', async () => {
  const alone: Subject = { ...churn, cohort: { minCohort: 1, colluders: 0 } };
  await expect(audit(alone, { ...options(''), canaries: 100, secureSum: 'threshold-he', backend })).rejects.toThrow(
    'one opener alone',
  );
});
