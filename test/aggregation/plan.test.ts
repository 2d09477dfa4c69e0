import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  chargedEvent,
  checkPlan,
  makePlan,
  type Plan,
  plannedEvent,
  planSchema,
  planText,
  poolOf,
  type Roster,
  rosterHash,
  roundsOf,
  shapeOf,
  taskId,
} from '../../aggregation/plan.ts';
import { PlanRefused } from '../../aggregation/plan-refused.ts';
import { coalitionShares, type Settings, settingsSchema } from '../../aggregation/settings.ts';
import { decodeFromCoordinator, encode, MOST_VALUES } from '../../aggregation/wire.ts';
import { ACCOUNTED_DELTA_FRACTION } from '../../privacy/guarantee.ts';
import { epsilonAtMost } from '../../privacy/pld-accountant.ts';
import { churnSettings, evaluationSettings, segmentSettings } from '../../simulation/telco.ts';
import { NOWHERE, rosterOf } from '../support/small-task.ts';

const plan = makePlan(churnSettings, rosterOf(5), NOWHERE, 1_700_000_000_000);

const vector = JSON.parse(readFileSync(new URL('../vectors/plan.json', import.meta.url), 'utf8')) as {
  plan: Plan;
  text: string;
  taskId: string;
  rosterHash: string;
};

describe('the plan of the churn task', () => {
  const { derived } = plan;

  test('carries the noise that was computed by hand: z, the share of three, ε', () => {
    expect(Math.abs(derived.noiseMultiplier - 2.2916)).toBeLessThan(0.0005);
    expect(derived.shareStdDev).toBe(Math.ceil((derived.noiseMultiplier * 2 ** 20) / Math.sqrt(3)));
    expect(derived.epsilon.coalition).toBeLessThanOrEqual(2);
    expect(derived.epsilon.coalition).toBeGreaterThan(1.999);
    expect(derived.epsilon.release).toBeLessThan(derived.epsilon.coalition);
    expect(derived.epsilon.floor).toBeGreaterThan(derived.epsilon.coalition);
  });
  test('has room for a hundred rounds and five spare openings, by four openers', () => {
    expect(derived).toMatchObject({ openings: 105, threshold: 4, sensitivity: 2 ** 20, path: 'strict' });
    expect(roundsOf(plan)).toBe(100);
    expect(coalitionShares(churnSettings)).toBe(3);
    expect(shapeOf(plan)).toEqual({
      dimension: derived.dimension,
      tenants: 5,
      threshold: 4,
      minCohort: 4,
      colluders: 1,
      maxMagnitude: derived.maxMagnitude,
    });
  });
  test('bounds a sum by all customers at the bound, and twelve standard deviations', () => {
    const { shareStdDev, maxMagnitude } = derived;
    expect(maxMagnitude).toBe(Math.ceil(5 * 400 * 2 ** 20 + 12 * shareStdDev * Math.sqrt(5)));
  });
  test('charges what it plans: all its openings cost the ε it states', () => {
    const delta = churnSettings.privacy.delta * ACCOUNTED_DELTA_FRACTION;
    const opening = chargedEvent(plan);
    const all = { type: 'SelfComposed', event: opening, count: derived.openings } as const;
    expect(epsilonAtMost([all], delta)).toBe(derived.epsilon.coalition);
    expect(plannedEvent(plan)).toEqual(all);
  });
  test('for customers of two tenants keeps its ε by more noise, and says what it is for each number of tenants', () => {
    const [one, two, three] = derived.epsilonByCopies;
    expect(one).toBe(derived.epsilon.coalition);
    expect(two).toBeGreaterThan(2 * one);
    expect(three).toBeGreaterThan(3 * one);
    const shared = { ...churnSettings, privacy: { ...churnSettings.privacy, tenantsPerCustomer: 2 } };
    const both = makePlan(shared, plan.roster, NOWHERE, plan.createdAt).derived;
    expect(both.epsilon.coalition).toBeLessThanOrEqual(2);
    expect(both.epsilon.coalition).toBeGreaterThan(1.999);
    expect(both.epsilonByCopies[1]).toBeCloseTo(both.epsilon.coalition, 9);
    expect(both.noiseMultiplier).toBeGreaterThan(1.8 * derived.noiseMultiplier);
  });
  test('is paid by customers that are trained on; an evaluation by those held out', () => {
    expect(poolOf(plan)).toBe('training');
    const evaluation = makePlan(evaluationSettings(NOWHERE, NOWHERE), rosterOf(5), NOWHERE, 0);
    expect(poolOf(evaluation)).toBe('held-out');
    expect(evaluation.derived).toMatchObject({ openings: 2, dimension: 32, sensitivity: 2 ** 20 });
    expect(roundsOf(evaluation)).toBe(1);
  });
});

test('of a large model has noise for all that rounding in chunks adds to the clip norm', () => {
  const model = { kind: 'mlp', hidden: [256, 512], seed: 1 } as const;
  const large = { ...churnSettings, work: { ...churnSettings.work, model } as Settings['work'] };
  const { derived } = makePlan(large, rosterOf(5), NOWHERE, 0);
  const sensitivity = Math.ceil(2 ** 20 * 1.001 + Math.sqrt(derived.dimension));
  expect(derived).toMatchObject({ path: 'ghost', sensitivity });
  expect(derived.shareStdDev).toBe(Math.ceil((derived.noiseMultiplier * sensitivity) / Math.sqrt(3)));
  expect(derived.epsilon.coalition).toBeLessThanOrEqual(2);
});

test('where every tenant adds the whole noise, a coalition meets one share of it', () => {
  const local = { ...churnSettings, privacy: { ...churnSettings.privacy, mode: 'record-local' as const } };
  const { derived } = makePlan(local, rosterOf(5), NOWHERE, 0);
  expect(derived.shareStdDev).toBe(Math.ceil(derived.noiseMultiplier * 2 ** 20));
  expect(derived.epsilon.release).toBe(derived.epsilon.floor);
  expect(derived.epsilon.coalition).toBe(derived.epsilon.floor);
});

describe('a plan has one text and one hash', () => {
  test('that never change', () => {
    expect(planText(vector.plan)).toBe(vector.text);
    expect(taskId(vector.plan)).toBe(vector.taskId);
    expect(rosterHash(vector.plan.roster)).toBe(vector.rosterHash);
  });
  test('whatever the order of its fields', () => {
    const turned = Object.fromEntries(Object.entries(plan).reverse()) as Plan;
    expect(taskId(turned)).toBe(taskId(plan));
    expect(taskId(planSchema.parse(JSON.parse(planText(plan))))).toBe(taskId(plan));
  });
  test('that differ when anything differs', () => {
    const others = [
      makePlan({ ...churnSettings, name: 'other' }, plan.roster, NOWHERE, plan.createdAt),
      makePlan(churnSettings, plan.roster, 'f'.repeat(64), plan.createdAt),
      makePlan(churnSettings, plan.roster, NOWHERE, plan.createdAt + 1),
      makePlan(churnSettings, rosterOf(6).slice(1), NOWHERE, plan.createdAt),
    ];
    expect(new Set([plan, ...others].map(taskId)).size).toBe(5);
  });
  test('from a roster in any order', () => {
    expect(makePlan(churnSettings, [...plan.roster].reverse(), NOWHERE, plan.createdAt)).toEqual(plan);
  });
});

describe('a client refuses a plan that states', () => {
  test('what follows from its settings, and nothing else, passes', () => {
    expect(() => checkPlan(plan)).not.toThrow();
    expect(() => checkPlan(planSchema.parse(JSON.parse(planText(plan))))).not.toThrow();
  });
  test('less noise than its ε takes, however consistently', () => {
    const weaker = { ...churnSettings, privacy: { ...churnSettings.privacy, epsilon: 2.001 } };
    const { derived } = makePlan(weaker, plan.roster, NOWHERE, plan.createdAt);
    expect(() => checkPlan({ ...plan, derived })).toThrow(/derived\.noiseMultiplier: with this noise ε is 2\.00/);
    // more than it takes is the coordinator's to choose
    const stronger = { ...churnSettings, privacy: { ...churnSettings.privacy, epsilon: 1.9 } };
    const noisier = makePlan(stronger, plan.roster, NOWHERE, plan.createdAt).derived;
    expect(() => checkPlan({ ...plan, derived: noisier })).not.toThrow();
  });
  test('a number where its ε is infinite', () => {
    const derived = { ...plan.derived, noiseMultiplier: 1e-9, shareStdDev: 1 };
    expect(() => checkPlan({ ...plan, derived })).toThrow(PlanRefused);
    const fitted = { ...derived, maxMagnitude: Math.ceil(5 * 400 * 2 ** 20 + 12 * Math.sqrt(5)) };
    expect(() => checkPlan({ ...plan, derived: fitted })).toThrow(/derived\.epsilon: the plan says/);
  });
  const chosen = 'noiseMultiplier'; // what it decides is checked above
  const rest = (Object.keys(plan.derived) as (keyof Plan['derived'])[]).filter((field) => field !== chosen);
  test.each(rest)('another %s', (field) => {
    const stated = plan.derived[field];
    const changed =
      typeof stated === 'number'
        ? [stated - 1, Number.isInteger(stated) ? stated + 1 : stated * (1 - 1e-6)]
        : typeof stated === 'string'
          ? ['ghost']
          : Object.entries(stated).map(([which, epsilon]) =>
              Object.assign(structuredClone(stated), { [which]: epsilon * (1 - 1e-8) }),
            );
    for (const value of changed) {
      if (value === stated) continue; // beyond the precision of a large number
      const lying = { ...plan, derived: { ...plan.derived, [field]: value } } as Plan;
      expect(() => checkPlan(lying)).toThrow(PlanRefused);
      expect(() => checkPlan(lying)).toThrow(`derived.${field}`);
    }
  });
  test('derived fields of other settings', () => {
    const other = { ...churnSettings, privacy: { ...churnSettings.privacy, epsilon: 1 } };
    expect(() => checkPlan({ ...plan, settings: other })).toThrow(PlanRefused);
    expect(() => checkPlan({ ...plan, roster: rosterOf(6) })).toThrow(PlanRefused);
  });
});

// t = ⌊(N + c)/2⌋ + 1, by hand
const THRESHOLDS: readonly (readonly [tenants: number, colluders: number, threshold: number])[] = [
  [3, 0, 2], [3, 1, 3], [4, 0, 3], [4, 1, 3], [5, 0, 3], [5, 1, 4], [5, 2, 4], [6, 1, 4], [6, 2, 5], [7, 1, 5], [7, 2, 5],
  [8, 1, 5], [8, 3, 6], [9, 2, 6], [10, 2, 7], [10, 3, 7], [11, 1, 7], [12, 2, 8], [13, 2, 8], [14, 2, 9], [15, 2, 9],
  [16, 2, 10], [16, 4, 11], [17, 3, 11], [18, 3, 11], [19, 3, 12], [20, 2, 12], [20, 4, 13],
]; // biome-ignore format: a table

describe('the threshold', () => {
  const withCohort = (colluders: number, minCohort: number): Settings => ({
    ...churnSettings,
    secureSum: { protocol: 'threshold-he', minCohort, colluders },
  });

  test.each(THRESHOLDS)('of %i tenants with %i colluders is %i', (tenants, colluders, threshold) => {
    const made = makePlan(withCohort(colluders, threshold), rosterOf(tenants), NOWHERE, 0);
    expect(made.derived.threshold).toBe(threshold);
    // two sets of openers share a tenant that does not collude
    expect(2 * threshold - tenants).toBeGreaterThan(colluders);
    expect(() => makePlan(withCohort(colluders, threshold - 1), rosterOf(tenants), NOWHERE, 0)).toThrow(
      `need ${threshold} openers`,
    );
  });
});

test('the longest sum that a plan may have fits a message, and news of the ledger beside it', () => {
  const sum = Buffer.alloc(8 * MOST_VALUES);
  const ledger = { entries: Array.from({ length: 60 }, () => 'e'.repeat(100_000)), note: 'n'.repeat(2000) };
  const opened = { type: 'opened', task: NOWHERE, round: 1, sum, contributions: 5, model: NOWHERE, ledger } as const;
  expect(decodeFromCoordinator(encode(opened).bytes)).toMatchObject({ type: 'opened', round: 1 });
});

describe('a plan that cannot be is refused by the name of the setting:', () => {
  const { privacy, secureSum, features, work } = churnSettings;
  const logistic = { kind: 'logistic' } as const;
  const evaluation = evaluationSettings(NOWHERE, NOWHERE);
  const [first, second] = rosterOf(2) as [Roster[number], Roster[number]];
  const twice = [first, { ...second, tenant: first.tenant }];
  const oneKey = [first, { ...second, key: first.key }];
  const { label: _, ...unlabelled } = features;

  test.each<[string, Settings, Roster, string, string]>([
    ['a tenant listed twice', churnSettings, twice, 'roster', 'listed twice'],
    ['a key of two tenants', churnSettings, oneKey, 'roster', 'share one key'],
    ['nobody enrolled', churnSettings, [], 'secureSum.minCohort', 'only 0 tenants'],
    ['a cohort larger than the roster', churnSettings, rosterOf(3), 'secureSum.minCohort', 'is 4, but only 3'],
    ['a cohort below the openers needed', churnSettings, rosterOf(8), 'secureSum', 'need 5 openers'],
    [
      'as many colluders as openers',
      { ...churnSettings, secureSum: { ...secureSum, minCohort: 5, colluders: 6 } },
      rosterOf(5),
      'secureSum',
      'more than 6',
    ],
    [
      'one tenant under threshold encryption',
      { ...churnSettings, secureSum: { ...secureSum, minCohort: 1, colluders: 0 } },
      rosterOf(1),
      'secureSum.protocol',
      'needs two tenants',
    ],
    [
      'one tenant under masks',
      { ...churnSettings, secureSum: { protocol: 'masking', minCohort: 1, colluders: 0 } },
      rosterOf(1),
      'secureSum.protocol',
      'needs two tenants',
    ],
    [
      'ML-KEM where it protects nothing',
      { ...churnSettings, secureSum: { ...secureSum, protocol: 'plain', keyAgreement: 'x25519-ml-kem-768' } },
      rosterOf(5),
      'secureSum.keyAgreement',
      'plain does not take it',
    ],
    [
      'more tenants that may be missing, or collude, than a committee of threshold encryption outnumbers',
      { ...churnSettings, secureSum: { ...secureSum, minCohort: 130, colluders: 20 } },
      rosterOf(200),
      'secureSum.minCohort',
      '70 tenants may be missing and 20 collude: only 91 openers outnumber them, and threshold-he has 64',
    ],
    [
      'an average over more iterates than there are',
      { ...churnSettings, work: { ...work, averageLast: 101 } as Settings['work'] },
      rosterOf(5),
      'work.averageLast',
      '101 iterates cannot be averaged in 100 rounds',
    ],
    [
      'a model whose sum fits no message',
      {
        ...churnSettings,
        work: { ...work, model: { kind: 'mlp', hidden: [4096, 3900], seed: 1 } } as Settings['work'],
      },
      rosterOf(5),
      'work.model',
      'a sum has 16000000 at most',
    ],
    ['training without a label', { ...churnSettings, features: unlabelled }, rosterOf(5), 'features.label', 'needs a'],
    [
      'segments trained by gradients',
      { ...churnSettings, work: { ...work, model: { kind: 'k-means', clusters: 3 } } as Settings['work'] },
      rosterOf(5),
      'work.model',
      'kind segment',
    ],
    [
      'segments of categories',
      { ...segmentSettings, features },
      rosterOf(5),
      'features.features',
      'numeric features only',
    ],
    [
      'an evaluation with nobody held out',
      { ...evaluation, features: { ...features, holdout: null } },
      rosterOf(5),
      'features.holdout',
      'nothing to evaluate on',
    ],
    [
      'a sample of customers where all are used',
      { ...evaluation, privacy: { ...evaluation.privacy, samplingRate: 0.5 } },
      rosterOf(5),
      'privacy.samplingRate',
      'set it to 1',
    ],
    [
      'batches that would be cut too often',
      { ...churnSettings, privacy: { ...privacy, maxBatch: 260 } },
      rosterOf(5),
      'privacy.maxBatch',
      'too small for 2500 customers',
    ],
    [
      'a sum that does not fit the bits of a slot',
      { ...churnSettings, privacy: { ...privacy, gridSteps: 2 ** 24, maxBatch: 1_000_000 } },
      rosterOf(16),
      'secureSum',
      'need 9 openers',
    ],
    [
      'a sum that does not fit the bits of a slot, with openers enough',
      {
        ...churnSettings,
        work: { ...work, model: logistic } as Settings['work'],
        privacy: { ...privacy, gridSteps: 2 ** 24, maxBatch: 1_000_000 },
        secureSum: { ...secureSum, minCohort: 16 },
      },
      rosterOf(16),
      'privacy.maxBatch',
      'threshold-he has',
    ],
  ])('%s', (_, settings, roster, field, why) => {
    const making = (): Plan => makePlan(settings, roster, NOWHERE, 0);
    expect(making).toThrow(PlanRefused);
    expect(making).toThrow(why);
    try {
      making();
    } catch (error) {
      expect((error as PlanRefused).field).toBe(field);
    }
  });
});

describe('settings that are none are refused by the path of the field:', () => {
  test.each<[string, object, string]>([
    ['ε above 8', { privacy: { ...churnSettings.privacy, epsilon: 8.1 } }, 'privacy.epsilon'],
    ['ε of nothing', { privacy: { ...churnSettings.privacy, epsilon: 0 } }, 'privacy.epsilon'],
    ['δ above a thousandth', { privacy: { ...churnSettings.privacy, delta: 0.01 } }, 'privacy.delta'],
    ['a rate above one', { privacy: { ...churnSettings.privacy, samplingRate: 1.1 } }, 'privacy.samplingRate'],
    [
      'another unit of neighbours',
      { privacy: { ...churnSettings.privacy, neighbouring: 'swap' } },
      'privacy.neighbouring',
    ],
    ['an unknown protocol', { secureSum: { ...churnSettings.secureSum, protocol: 'trust-me' } }, 'secureSum.protocol'],
    [
      'a negative number of colluders',
      { secureSum: { ...churnSettings.secureSum, colluders: -1 } },
      'secureSum.colluders',
    ],
    ['no rounds', { work: { ...churnSettings.work, rounds: 0 } }, 'work.rounds'],
    ['a name with spaces', { name: 'my task' }, 'name'],
    ['a field nobody knows', { budget: 'none' }, ''],
  ])('%s', (_, change, path) => {
    const parsed = settingsSchema.safeParse({ ...churnSettings, ...change });
    expect(parsed.success).toBe(false);
    expect(parsed.error!.issues[0]!.path.join('.')).toBe(path);
  });
});
