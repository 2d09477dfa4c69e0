import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chargedEvent, type Plan } from '../../../aggregation/plan.ts';
import { planEntry } from '../../../aggregation/plan-entry.ts';
import type { Settings } from '../../../aggregation/settings.ts';
import {
  attackGain,
  epsilonOf,
  exposureOf,
  filterEpsilon,
  openingOf,
  type Spent,
} from '../../../client/report/exposure.ts';
import { ADVERSARIES } from '../../../privacy/adversary.ts';
import { commit, filterOrder, openBudget, reserve, standing } from '../../../privacy/budget.ts';
import { ACCOUNTED_DELTA_FRACTION } from '../../../privacy/guarantee.ts';
import { gaussianEpsilon, normalQuantile, normalTail } from '../../../privacy/normal.ts';
import { planOf } from './ledger-of.ts';

const DELTA = 1e-5;
const trainee = planOf();
/** Everybody in every round: Gaussians, whose figures have closed forms. */
const segments = planOf((settings) => ({
  ...settings,
  work: { kind: 'segment', clusters: 3, rounds: 4 },
  privacy: { ...settings.privacy, samplingRate: 1, epsilon: 1 },
}));
const used = (plan: Plan, openings: number, task = plan.settings.work.kind): Spent => ({
  task,
  plan: planEntry(plan),
  openings,
});
const terms = { delta: DELTA, order: 8 };
const changed = (change: (settings: Settings) => Partial<Settings>) => planOf((all) => ({ ...all, ...change(all) }));

describe('one opening', () => {
  test.each([
    ['shared noise', trainee],
    ['noise of every tenant’s own', changed(({ privacy }) => ({ privacy: { ...privacy, mode: 'record-local' } }))],
    ['customers of two tenants', changed(({ privacy }) => ({ privacy: { ...privacy, tenantsPerCustomer: 2 } }))],
    ['everybody in every round', segments],
  ])('is, to a coalition, the event that the ledger charges: %s', (_, plan) => {
    expect(openingOf(planEntry(plan), 'coalition')).toEqual(chargedEvent(plan));
  });

  test('hides behind one share where the sums were not secured, whatever the plan claims', () => {
    const plain = planEntry(changed(({ secureSum }) => ({ secureSum: { ...secureSum, protocol: 'plain' } })));
    expect(openingOf(plain, 'coalition')).toEqual(openingOf(plain, 'floor'));
    expect(openingOf(plain, 'release')).toEqual(openingOf(planEntry(trainee), 'release'));
    expect(openingOf(plain, 'coalition')).not.toEqual(openingOf(planEntry(trainee), 'coalition'));
  });

  test('without protection stays without', () => {
    const open = { ...planEntry(trainee), event: { type: 'NonPrivate' } } as const;
    const { stated, filter, attack } = exposureOf([{ task: 'open', plan: open, openings: 1 }], terms);
    expect([stated.release, stated.coalition, stated.floor, filter]).toEqual([Infinity, Infinity, Infinity, Infinity]);
    expect(attack.release[0]).toEqual({ falsePositiveRate: 0.01, truePositiveRate: 1, mu: Infinity });
  });
});

describe('one task', () => {
  test('costs what its plan claims when all of it is used, to each adversary and for each number of tenants', () => {
    const entry = planEntry(trainee);
    const { stated, byCopies } = exposureOf([used(trainee, entry.mechanism.openings)], {
      ...terms,
      delta: entry.delta,
    });
    for (const against of ADVERSARIES) expect(stated[against]).toBeCloseTo(entry.epsilon[against] as number, 6);
    for (const [i, claimed] of entry.epsilonByCopies.entries())
      expect(byCopies.coalition[i]).toBeCloseTo(claimed as number, 6);
  });

  test('is no choice: the filter counts it tightly', () => {
    expect(filterEpsilon([used(trainee, 3)], terms)).toBe(epsilonOf([used(trainee, 3)], 'coalition', DELTA));
    const beside = [used(trainee, 3), used(segments, 0)];
    expect(filterEpsilon(beside, terms)).toBe(filterEpsilon([used(trainee, 3)], terms));
    const { attack, filterAttack } = exposureOf(beside, terms);
    expect(filterAttack).toEqual(attack.coalition);
  });
});

/** μ of so many openings of a plan in which everybody takes part: √n·Δ/√(σ² − 16), DISCRETE-GAUSSIAN.md. */
function muOf(plan: Plan, shares: number, openings: number): number {
  const { shareStdDev, sensitivity } = plan.derived;
  return (Math.sqrt(openings) * sensitivity) / Math.sqrt(shares * shareStdDev ** 2 - 16);
}

describe('several tasks without sampling', () => {
  const louder = planOf((settings) => ({
    ...settings,
    work: { kind: 'segment', clusters: 4, rounds: 2 },
    privacy: { ...settings.privacy, samplingRate: 1, epsilon: 2 },
  }));
  const both = [used(segments, 5), used(louder, 2, 'train')];
  const together = exposureOf(both, terms);
  const accounted = DELTA * (2 * ACCOUNTED_DELTA_FRACTION - 1);

  test.each([
    ['release', 4],
    ['coalition', 3],
    ['floor', 1],
  ] as const)('cost %s as one Gaussian whose squares of μ add up', (against, shares) => {
    const mu = Math.hypot(muOf(segments, shares, 5), muOf(louder, shares, 2));
    expect(together.stated[against]).toBeCloseTo(gaussianEpsilon(mu, accounted), 6);
    for (const [i, rate] of [0.01, 0.001].entries()) {
      const { falsePositiveRate, truePositiveRate, mu: found } = together.attack[against][i]!;
      expect(falsePositiveRate).toBe(rate);
      // Φ(Φ⁻¹(FPR) + μ): Dong, Roth, Su 2022, §2.2
      expect(truePositiveRate).toBeCloseTo(normalTail(-normalQuantile(rate) - mu), 9);
      expect(found).toBeCloseTo(mu, 6);
    }
  });

  test('grow with the tenants of a customer as μ does', () => {
    const mu = Math.hypot(muOf(segments, 3, 5), muOf(louder, 3, 2));
    for (const copies of [1, 2, 3])
      expect(together.byCopies.coalition[copies - 1]).toBeCloseTo(gaussianEpsilon(copies * mu, accounted), 6);
  });

  test('give an attacker who may choose the later ones at most what the divergence of the filter’s order allows', () => {
    const square = muOf(segments, 3, 5) ** 2 + muOf(louder, 3, 2) ** 2;
    // ρ = α·μ²/2 (Mironov 2017, Corollary 3); TPR ≤ (e^ρ·FPR)^((α − 1)/α) (Proposition 10)
    const bound = (Math.exp((8 * square) / 2) * 0.01) ** (7 / 8);
    expect(together.filterAttack[0]!.truePositiveRate).toBeCloseTo(bound, 9);
    expect(bound).toBeGreaterThan(together.attack.coalition[0]!.truePositiveRate);
  });
});

test('two tasks are counted by the filter as a budget counts them', () => {
  const limit = { epsilon: 20, delta: DELTA };
  const now = Date.parse('2026-10-01');
  const both = [used(trainee, 4), used(segments, 5)];
  let budget = openBudget({ training: limit });
  for (const { task, plan, openings } of both) {
    const what = { pool: 'training', task, purpose: 'p', event: openingOf(plan, 'coalition'), count: openings };
    budget = commit(reserve(budget, what, now), what);
  }
  const { epsilon } = standing(budget, 'training', now);
  expect(filterEpsilon(both, { delta: DELTA, order: filterOrder(limit) })).toBeCloseTo(epsilon, 9);
  expect(epsilon).toBeGreaterThan(epsilonOf(both, 'coalition', DELTA));
});

test('what each task keeps of δ for cut batches is taken from the total’s δ, and added to what an attacker finds', () => {
  const generous = changed(({ privacy }) => ({
    privacy: { ...privacy, samplingRate: 1, delta: 1e-3 },
    work: segments.settings.work,
  }));
  const [spent, kept] = [[used(generous, 1)], 1e-3 * 2 ** -20];
  const mu = muOf(generous, 3, 1);
  expect(epsilonOf(spent, 'coalition', 1e-8)).toBeCloseTo(gaussianEpsilon(mu, 1e-8 - kept), 6);
  expect(gaussianEpsilon(mu, 1e-8 - kept) - gaussianEpsilon(mu, 1e-8)).toBeGreaterThan(1e-4);
  const { truePositiveRate } = attackGain(spent, 'coalition', 0.001);
  expect(truePositiveRate - normalTail(-normalQuantile(0.001) - mu)).toBeCloseTo(kept, 12);
});

test('nothing opened tells nothing', () => {
  const none = exposureOf([used(trainee, 0)], terms);
  expect(none).toMatchObject({ openings: 0, tasks: 0, filter: 0, stated: { release: 0, coalition: 0, floor: 0 } });
  expect(none.attack.floor[0]!.truePositiveRate).toBeCloseTo(0.01, 12);
});

test('more openings never cost less, and those who see more never learn less', () => {
  const counts = fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 5 }));
  fc.assert(
    fc.property(counts, fc.constantFrom(0, 1), ([a, b], which) => {
      const spent = [used(trainee, a), used(segments, b)];
      const more = spent.with(which, { ...spent[which]!, openings: spent[which]!.openings + 1 });
      const [less, after] = [exposureOf(spent, terms), exposureOf(more, terms)];
      for (const against of ADVERSARIES)
        expect(after.stated[against]).toBeGreaterThanOrEqual(less.stated[against] - 1e-9);
      expect(after.stated.release).toBeLessThanOrEqual(after.stated.coalition);
      expect(after.stated.coalition).toBeLessThanOrEqual(after.stated.floor);
      expect(after.filterAttack[0]!.truePositiveRate).toBeGreaterThanOrEqual(
        attackGain(more, 'coalition', 0.01).truePositiveRate - 1e-9,
      );
    }),
    { numRuns: 15 },
  );
});
